"""`groundswift anomaly ask`, as tests run it."""

from __future__ import annotations

import json
from pathlib import Path

from converted import lint_findings, run


def ask(server, source: Path, model: str, *options: object, status: int = 0) -> dict:
    out = source.with_name("asked.jsonl")
    words = ["--base-url", server.url, "--model", model, "--retries", 2, "--out", out, "--json", *options]
    done = run("anomaly", "ask", source, *words)
    assert done.exit_code == status, done.output
    report = json.loads(done.stdout)
    assert lint_findings(out) == {}
    return report | {"lines": list(map(json.loads, out.read_text().splitlines()))}


def failed(server, source: Path, model: str, *options: object) -> str:
    out = source.with_name("asked.jsonl")
    done = run("anomaly", "ask", source, "--base-url", server.url, "--model", model, "--out", out, "--retries", 0, *options)
    assert done.exit_code == 1, done.output
    assert not out.exists()
    return done.output


def raw(source: Path) -> list[dict]:
    return [json.loads(line) for line in source.with_name("asked.answers.jsonl").read_bytes().splitlines()]
