"""A bar that comes late draws nothing for quick work, and loses no item when it comes."""

from __future__ import annotations

import pytest

from groundswift.eval import progress
from groundswift.eval.progress import EVERY, late_bar


@pytest.mark.parametrize("count", [0, 1, EVERY, EVERY + 1, 3 * EVERY])
@pytest.mark.parametrize("delay_s", [-1, 100])
def test_every_item_comes_once_and_a_bar_only_after_the_delay(monkeypatch, capsys, count, delay_s):
    monkeypatch.setattr(progress, "DELAY_S", delay_s)
    assert list(late_bar(range(count), count, "read answers", "row")) == list(range(count))
    assert ("read answers" in capsys.readouterr().err) == (delay_s < 0 and count >= EVERY)
