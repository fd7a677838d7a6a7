"""Rows as lint reads them: one with nothing wrong, what a test changes in it, and the document that lint prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from converted import run

WIDTH, HEIGHT = 64, 48
FIND, TAGS = "<image>Find all.", "<ref-object><bbox>"
ABSENT = object()


def row(answer: Any = TAGS, question: Any = FIND, **changes: Any) -> dict[str, Any]:
    """A row with one dog and nothing wrong; ABSENT takes a column away."""
    whole = {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
        "images": ["a.png"],
        "objects": objects([1, 2, 30, 40], bbox_type="real"),
        "sample_id": 1,
        "size_wh": [WIDTH, HEIGHT],
    }
    return {key: value for key, value in (whole | changes).items() if value is not ABSENT}


def objects(*boxes: Any, refs: Sequence[str] | None = None, **more: Any) -> dict[str, Any]:
    """Boxes, each with a label; `refs`: other labels than `dog`, a letter each where it is a text."""
    return {"ref": ["dog"] * len(boxes) if refs is None else list(refs), "bbox": list(boxes), **more}


def boxed(*boxes: Any, refs: Sequence[str] | None = None, **more: Any) -> dict[str, Any]:
    """A row with these boxes, each with a label."""
    return row(TAGS * len(boxes), objects=objects(*boxes, refs=refs, **more))


EMPTY = row("None", objects=objects(), sample_id=0)


def line(sample_id: Any, question: str = FIND, **more: Any) -> bytes:
    """A row without objects as a line of a file."""
    images = [f"{sample_id}.png"]
    return json.dumps(row("None", question, **{"images": images, "objects": ABSENT, "sample_id": sample_id} | more)).encode() + b"\n"


def peak_kib(module: str, *words: str) -> int:
    """The most memory that a command takes, in a process of its own that has loaded `module` before."""
    code = (
        f"import resource, sys, {module}\n"
        "from groundswift.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    return int(subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True).stdout.split()[-1])


def write_set(rows: Sequence[Any], path: str = "set.jsonl") -> None:
    """Write rows, or bytes as they are."""
    Path(path).write_bytes(b"".join(each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in rows))


def lint(rows: Sequence[Any], *options: str) -> dict[str, Any]:
    """The document of a lint of these rows."""
    write_set(rows)
    done = run("lint", "set.jsonl", "--json", *options)
    assert done.exit_code in (0, 1), done.output
    document = json.loads(done.stdout)
    assert done.exit_code == (document["counts"]["error"] > 0)
    return document


def rules(rows: Sequence[Any], *options: str) -> set[str]:
    """The rules that these rows break."""
    return set(lint(rows, *options)["rules"])
