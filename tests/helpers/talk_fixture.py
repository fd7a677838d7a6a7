"""What the tests of conversations, questions, captions and videos share: converting a source, and checking its problems."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from converted import write_lines
from PIL import Image

from groundswift.data_converters.base import Options
from groundswift.data_converters.engine.convert import RunOptions, convert_to_file, rows_of
from groundswift.data_converters.issues import IssueLog
from groundswift.errors import GroundswiftError


def image_bytes(colour: str = "grey", size_wh: tuple[int, int] = (8, 6), form: str = "PNG") -> bytes:
    """The content of an image's file."""
    data = BytesIO()
    Image.new("RGB", size_wh, colour).save(data, form)
    return data.getvalue()


def folder_with(sizes_wh: dict[str, tuple[int, int]]) -> Any:
    """A fixture: a folder with images of these sizes, and turned.jpg, stored 60x40 and EXIF-rotated to 40x60."""

    @pytest.fixture
    def folder(tmp_path: Path, draw: Callable[..., None]) -> Path:
        for name, size_wh in sizes_wh.items():
            draw(tmp_path / name, size_wh)
        draw(tmp_path / "turned.jpg", (60, 40), orientation=6)
        return tmp_path

    return folder


def source_of(kind: type[Options], name: str) -> Any:
    """A fixture: write rows, or bytes as they are, into a file of this name (a list where it is .json) -> the options that read it."""

    @pytest.fixture
    def source(folder: Path) -> Callable[..., Options]:
        def write(*rows: Any, name: str = name, **options: Any) -> Options:
            path = folder / name
            if name.endswith(".json"):
                path.write_text(json.dumps(rows), encoding="utf-8")
            else:
                write_lines(path, *rows)
            return kind(annotations=str(path), **options)

        return write

    return source


def ours(*texts: str, **changes: Any) -> dict[str, Any]:
    """A swift row of a conversation about one image of 640x480 px; a change to None drops a column."""
    messages = [{"role": ("user", "assistant")[index % 2], "content": text} for index, text in enumerate(texts)]
    row = {"messages": messages, "images": ["/data/a.jpg"], "sample_id": "7", "size_wh": [640, 480], **changes}
    return {key: value for key, value in row.items() if value is not None}


def turns(*texts: str, names: tuple[str, str] = ("human", "gpt")) -> list[dict[str, str]]:
    """A conversation of `from` and `value`."""
    return [{"from": names[index % 2], "value": text} for index, text in enumerate(texts)]


def write_parquet(path: Path, *rows: dict[str, Any], schema: Any = None) -> Path:
    """Write rows as Parquet; without a schema the columns are those of the first row."""
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema), path)
    return path


def outcome(options: Options) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """(the rows of a source as they would be in a file, counts by reason)."""
    log = IssueLog(options.on_error)
    return [json.loads(msgspec.json.encode(row)) for row in rows_of(options, log)], dict(log.counted.counts)


def made(options: Options) -> list[dict[str, Any]]:
    """The rows of a source."""
    return outcome(options)[0]


def counted(options: Options) -> dict[str, int]:
    """What was dropped or changed, by reason."""
    return outcome(options)[1]


def texts(row: dict[str, Any]) -> list[str]:
    """The texts of a conversation."""
    return [each["content"] for each in row["messages"]]


def brief(rows: list[dict[str, Any]]) -> list[tuple]:
    """(sample_id, what is found or the phrase that describes it, boxes) of rows of referring expressions."""
    return [(row["sample_id"], row["objects"]["ref"] or texts(row)[1], row["objects"]["bbox"]) for row in rows]


def said(row: dict[str, Any]) -> list[str]:
    """A conversation, a line a turn."""
    return [f"{each['role']}: {each['content']}" for each in row["messages"]]


def error_of(options: Options) -> str:
    """The error of a source with problems."""
    with pytest.raises(GroundswiftError) as raised:
        made(options)
    return str(raised.value)


def written(options: Options, out: Path, workers: int = 1) -> bytes:
    """The file that a source becomes."""
    convert_to_file(options, out, RunOptions(workers, progress=False), IssueLog(options.on_error))
    return out.read_bytes()


def check_problem(options: Options, reason: str, *parts: str, left: int | list[Any] = 1) -> None:
    """A source has one problem: it stops with an error that holds `parts`, or is skipped, counted, and `left` rows come out."""
    error = error_of(options)
    assert f"       1  {reason}: " in error, error
    assert [part for part in parts if part not in error] == [], error
    check_skipped(options, reason, left)


def check_skipped(options: Options, reason: str, left: int | list[Any] = 1) -> None:
    """With --on-error skip a problem is counted under its id, and `left` rows come out: so many, or those of these ids."""
    rows, counts = outcome(msgspec.structs.replace(options, on_error="skip"))
    assert counts[reason] == 1, counts
    assert (len(rows) if isinstance(left, int) else [row["sample_id"] for row in rows]) == left
