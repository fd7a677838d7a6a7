"""What the tests of conversations, questions, captions and videos share: converting a source in each of the ways there are."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from converted import run
from PIL import Image

from groundswift.data_converters.base import Options
from groundswift.data_converters.engine.convert import How, convert_to_file, rows_of
from groundswift.data_converters.issues import IssueLog
from groundswift.errors import GroundswiftError

EARLIER = b"an earlier file\n"
NOT_OF_OURS = {"no-negatives", "image-tags-under", "sample-id-missing"}


def picture(colour: str = "grey", size_wh: tuple[int, int] = (8, 6), form: str = "PNG") -> bytes:
    """The content of a picture's file."""
    data = BytesIO()
    Image.new("RGB", size_wh, colour).save(data, form)
    return data.getvalue()


def made(options: Options) -> list[dict[str, Any]]:
    """The rows of a source as they would stand in a file."""
    return [json.loads(msgspec.json.encode(row)) for row in rows_of(options, IssueLog(options.on_error))]


def counted(options: Options) -> dict[str, int]:
    """What was left out or changed, by reason."""
    log = IssueLog(options.on_error)
    list(rows_of(options, log))
    return dict(log.counted.counts)


def said(row: dict[str, Any]) -> list[str]:
    """A conversation, a line a turn."""
    return [f"{each['role']}: {each['content']}" for each in row["messages"]]


def told(options: Options) -> str:
    """The error of a source that is at fault; nothing stands at the output then but what was there."""
    with pytest.raises(GroundswiftError) as raised:
        made(options)
    return str(raised.value)


def written(options: Options, out: Path, workers: int = 1) -> bytes:
    """The file that a source becomes."""
    convert_to_file(options, out, How(workers, progress=False), IssueLog(options.on_error))
    return out.read_bytes()


def command(*arguments: object) -> Any:
    """`groundswift convert ...` in this process: what it printed and its exit status; an error is no traceback."""
    return run("convert", *arguments)


def check_whole_way(out: Path, *arguments: object, lint: bool = True) -> list[dict[str, Any]]:
    """`groundswift convert ... --out OUT` and `groundswift lint OUT` in processes of their own -> the rows; lint finds nothing in them."""
    groundswift = [sys.executable, "-m", "groundswift.cli"]
    done = subprocess.run([*groundswift, "convert", *map(str, arguments), "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if lint:
        linted = subprocess.run([*groundswift, "lint", str(out), "--json"], capture_output=True, text=True)
        found = set(json.loads(linted.stdout)["rules"]) - NOT_OF_OURS
        assert found == set(), linted.stdout
    return [json.loads(line) for line in out.read_bytes().splitlines()]


def check_skipped(options: Options, reason: str, left: int = 1) -> None:
    """With --on-error skip a fault is counted under its reason, and `left` rows come out."""
    skipping = msgspec.structs.replace(options, on_error="skip")
    log = IssueLog("skip")
    rows = list(rows_of(skipping, log))
    assert log.counted.counts[reason] == 1, log.counted.counts
    assert len(rows) == left
