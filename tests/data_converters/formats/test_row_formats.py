"""What every format of rows does alike: files in every spelling, files, images and values that are broken, several workers, each task."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from converted import lint_findings, run, write_lines
from refcoco_fixture import jxu124_rows
from source_examples import out_of
from talk_fixture import check_problem, check_skipped, error_of, image_bytes, made, ours, outcome, turns, write_parquet, written

from groundswift.data_converters.base import Options
from groundswift.data_converters.registry import FORMATS
from groundswift.data_converters.rows.lint.checks_rows import check_counts, check_roles
from groundswift.data_converters.rows.lint.rules import RULES
from groundswift.errors import GroundswiftError
from groundswift.row_view import RowView

HELD = {"bytes": base64.b64encode(image_bytes()).decode(), "path": "q.png"}
OBJECT = {"caption": "guy", "bbox": [1, 2, 7, 5], "bbox_type": "real", "image": 0}
OURS = {
    "messages": [{"role": "user", "content": "<image>Where?"}, {"role": "assistant", "content": "<bbox>"}],
    "images": ["a.jpg"],
    "objects": {"ref": [], "bbox": [[1, 1, 4, 5]]},
    "size_wh": [8, 6],
}


ROWS: dict[str, list[dict[str, Any]]] = {  # format -> good rows of each of its forms
    "llava": [
        {"id": "x", "image": "a.jpg", "conversations": turns("<image>\nQ", "A")},
        {"image": ["a.jpg"], "conversations": turns("Q", "A")},
    ],
    "phi3v": [
        {"id": "x", "image": "a.jpg", "conversations": turns("<|image_1|>\nQ", "A")},
        {"id": "c", "source": "u", "conversations": [{"images": ["a.jpg"], "user": "Q", "assistant": "A"}]},
        {"conversations": [{"from": "user", "value": "<img>a.jpg</img>Q"}, {"from": "assistant", "value": "A"}]},
    ],
    "glm4v": [{"messages": [{"role": "user", "content": "Q", "image": "a.jpg"}, {"role": "assistant", "content": "A"}]}],
    "swift2": [
        {"query": "<ref-object>", "response": "<bbox>", "history": [["q", "a"]], "system": "S", "images": ["a.jpg"], "objects": [OBJECT]},
        {"query": "<bbox>", "response": "A", "images": "a.jpg", "objects": [OBJECT | {"bbox": [[0, 0, 1, 1]], "bbox_type": "norm_1"}]},
        {"conversations": turns("<video>Q", "A"), "videos": ["v.mp4"]},
    ],
    "shikra": [
        {
            "image": "a.jpg",
            "target": {"boxes": [[1, 1, 4, 5]], "points": [[1, 2]]},
            "conversations": [*turns("Q <image>"), {"from": "gpt", "value": "<boxes> <points>", "boxes_seq": [[0]], "points_seq": [[0]]}],
        },
        {"img_path": "a.jpg", "expression": "cat", "bbox": [1, 1, 4, 5], "width": 8, "height": 6},
    ],
    "image-text": [{"image": "a.jpg", "text": "A"}, {"image": HELD, "text": "B"}],
    "scienceqa": [{"question": "Q", "choices": ["a", "b"], "answer": 0, "hint": "h", "solution": "s"}],
    "video-chatgpt": [{"q": "Q", "a": "A", "video_id": "v"}, {"video_name": "v", "question": "Q", "question_1": "None", "answer": "A"}],
    "refcoco-hub": [{key: jxu124_rows()[0][key] for key in ("sentences", "bbox", "image_path", "split")}],
    "to-glm4v": [OURS],
    "to-shikra": [OURS],
}
MORE: dict[str, dict[str, Any]] = {
    "image-text": {"save_images": "kept"},
    "refcoco-hub": {"schema": "jxu124", "check_images": False},
    "scienceqa": {"save_images": "kept"},
    "video-chatgpt": {"videos": "."},
}


def row(name: str, number: int = 0) -> dict[str, Any]:
    """A good row."""
    return ROWS[name][0] | ({"ref_id": number} if name == "refcoco-hub" else {})


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Options]:
    """Write a file of rows of a format, or its bytes -> the options that read it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_bytes(image_bytes(form="JPEG"))
    (tmp_path / "v.mp4").write_bytes(b"a video")

    def write(name: str, content: bytes | list[Any], suffix: str = ".jsonl") -> Options:
        path = tmp_path / f"rows{suffix}"
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif suffix == ".parquet":
            write_parquet(path, *content)
        else:
            write_lines(path, *content)
        return FORMATS[name](annotations=str(path), **MORE.get(name, {}))

    return write


def lines(name: str) -> bytes:
    """Two rows as JSON Lines."""
    return b"".join(json.dumps(row(name, number)).encode() + b"\n" for number in range(2))


SPELLINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "blank lines at the end": (".jsonl", lambda name: lines(name) + b"\n \n"),
    "a list": (".json", lambda name: b"[" + lines(name).strip().replace(b"\n", b",") + b"]"),
    "Parquet": (".parquet", lambda name: [row(name, number) for number in range(2)]),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_the_same_file(source, name, spelling):
    suffix, content = SPELLINGS[spelling]
    expected = made(source(name, lines(name)))
    assert len(expected) == {"refcoco-hub": 6}.get(name, 2)
    assert made(source(name, content(name), suffix)) == expected


BAD_LINES = {
    "NaN": b'{"messages": NaN}',
    "UTF-16": "{}".encode("utf-16"),
    "Latin-1": b"\xe4{}",
    "lone surrogate": b'{"query": "\\ud800"}',
    "deep": b"[" * 100_000,
    "a list": b"[1, 2]",
    "a number": b"7",
    "cut": b'{"messages": [{"role"',
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_bad_line_stops_or_is_skipped_and_counted(source, name, bad):
    options = source(name, b"\xef\xbb\xbf" + b"\r\n".join([BAD_LINES[bad], json.dumps(row(name)).encode(), b""]))
    assert "rows.jsonl:1: " in error_of(options)
    check_skipped(options, "row-unreadable", {"refcoco-hub": 3}.get(name, 1))


BAD_IMAGES = {  # in place of the name of an image
    "none.jpg": ("image-missing", "(none.jpg): image not found: "),
    "rows.jsonl": ("image-unreadable", "not a readable image"),
    "../a.jpg": ("image-path-outside", "image '../a.jpg' with "),
    "data:image/png;base64,AAAA": ("image-inline", "an image of 26 characters, 'data:image/png;base64,AA'...; expected a path to a file"),
    "A" * 5000: ("image-inline", "an image of 5000 characters"),
}
WITH_IMAGES = [name for name in ROWS if "a.jpg" in json.dumps(ROWS[name][0]) and name != "to-glm4v"]


def of_image(name: str, image: str) -> dict[str, Any]:
    """A row with another image."""
    return json.loads(json.dumps(row(name)).replace('"a.jpg"', json.dumps(image)))


@pytest.mark.parametrize("name", WITH_IMAGES)
@pytest.mark.parametrize("image", BAD_IMAGES)
def test_an_image_that_cannot_be_used(source, name, image):
    reason, message = BAD_IMAGES[image]
    check_problem(source(name, [of_image(name, image), row(name)]), reason, "rows.jsonl:1", message)


@pytest.mark.parametrize("name", WITH_IMAGES)
def test_an_absolute_path_stays_and_unchecked_images_are_not_opened(source, tmp_path, tmp_path_factory, name):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "c.jpg"
    elsewhere.write_bytes((tmp_path / "v.mp4").read_bytes())
    options = msgspec.structs.replace(source(name, [of_image(name, str(elsewhere)), of_image(name, "none.jpg")]), check_images=False)
    assert [each.get("image") or each["images"][0] for each in made(options)] == [str(elsewhere), str(tmp_path / "none.jpg")]
    elsewhere.write_bytes(image_bytes())
    assert str(elsewhere) in json.dumps(made(source(name, [of_image(name, str(elsewhere))])))


GONE = object()
VALUES = {
    "gone": GONE, "null": None, "true": True, "number": 5, "negative": -1, "fraction": 1.5, "gigantic": 10**40, "huge": 1e308,
    "NaN": float("nan"), "text": "5", "no text": "", "blank": " \n", "list": [], "object": {}, "list of null": [None], "nested": [[[]]],
    "zero": "a\0b", "half a character": "\ud800 x", "image tag": "<image>", "box tag": "<bbox>", "label tag": "<ref-object>",
    "video tag": "<video>", "upwards": "../a.jpg", "folder": ".", "no file": "none.jpg", "long": "x" * 5000,
}  # fmt: skip


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of each value in a row, the row itself first."""
    yield place
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*place, key))


def replaced(row: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The row with another value at a place."""
    if not place:
        return value
    row = inner = copy.deepcopy(row)
    for key in place[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return row


def problem_of(options: Options) -> str | None:
    """The error of a source; None for one without."""
    with suppress(GroundswiftError):
        made(options)
        return None
    return error_of(options)


def errors_of_lint(row: dict[str, Any]) -> list[str]:
    """What lint calls an error in the shape of a row."""
    view = RowView.of(row)
    found = [rule for rule, _ in (*view.findings, *check_roles(view), *check_counts(view))]
    return [rule for rule in found if RULES[rule].severity == "error"]


@pytest.mark.long
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("name", ROWS)
def test_any_value_anywhere(source, name, value):
    """An error that names the row, or a row that swift trains on as it is; with problems skipped, every row is accounted for."""
    for good in (each | row(name) if name == "refcoco-hub" else each for each in ROWS[name]):
        for place in places(good):
            if value is GONE and not place:
                continue
            bad = json.dumps(replaced(good, place, value)).encode()
            options = source(name, [bad, good | ({"ref_id": 1} if name == "refcoco-hub" else {})])
            rows, counts = outcome(msgspec.structs.replace(options, on_error="skip"))
            assert len(rows) + sum(counts.values()) >= 2, (place, counts)
            error = problem_of(options)
            assert error is None or (f"{options.annotations}:1" in error and "; expected " in error), (place, error)
            if FORMATS[name].makes_rows:
                assert [errors_of_lint(each) for each in rows] == [[]] * len(rows), place


@pytest.mark.parametrize(
    ("name", "options"), [("glm4v", {}), ("shikra", {}), *(("phi3v", {"form": form}) for form in ("numbered", "llava", "cookbook"))]
)
def test_rows_are_the_same_after_the_way_there_and_back(tmp_path, draw, name, options):
    draw(tmp_path / "turned.jpg", (60, 40), orientation=6)
    image = {"images": [str(tmp_path / "turned.jpg")], "size_wh": [40, 60]}
    rows = [ours("<image>\nWhat?", "A cat.", "More?", "No.", **image), ours("Hello", "Hi", images=None, size_wh=None, sample_id="t")]
    there = FORMATS[f"to-{name}"](annotations=str(write_lines(tmp_path / "rows.jsonl", *rows)), **options)
    written(there, tmp_path / "there.jsonl")
    back = made(FORMATS[name](annotations=str(tmp_path / "there.jsonl")))
    assert back == ([row | {"sample_id": f"there/{number}"} for number, row in enumerate(rows, 1)] if name == "glm4v" else rows)


def tasks() -> list[tuple[str, str]]:
    """(format, task) for each task of each format that has several."""
    hints = {name: get_type_hints(each, include_extras=False).get("task") for name, each in FORMATS.items()}
    return [(name, task) for name, hint in hints.items() for task in get_args(hint)]


@pytest.mark.parametrize(("name", "task"), tasks())
def test_lint_finds_nothing_in_any_task(name, task, laid_out):
    arguments = laid_out(name)
    done = run(*arguments, "--task", task, "--language", "both", "--prompts", "sampled", "--workers", 2)
    assert done.exit_code == 0, done.stderr
    assert set(lint_findings(out_of(arguments))) <= {"duplicate-label"}
