"""Answers truncated at `max_new_tokens` are counted at the end of inference."""

from __future__ import annotations

import pytest
from tiny_run import infer


@pytest.mark.parametrize("more", [(), ("--stream", "true"), ("--max_batch_size", "4")], ids=["one by one", "streamed", "in batches"])
@pytest.mark.parametrize(("limit", "count"), [("6", 12), ("300", 0)])
def test_truncated_answers_are_counted(plugin, toys, tmp_path, warned, limit, count, more):
    rows = infer(plugin, toys / "toys.jsonl", tmp_path / "result.jsonl", "--max_new_tokens", limit, *more)
    assert len(rows) == 12
    lines = [line for line in warned if "[answers-truncated]" in line]
    assert len(lines) == bool(count)
    assert all(line.startswith(f"{count} of 12 answers were truncated at --max_new_tokens {limit}") for line in lines)
