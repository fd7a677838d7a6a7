"""What every format of rows does alike: files in every spelling, files that are broken, several workers, an output that was there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from converted import lint_findings, run, write_lines
from refcoco_fixture import jxu124_rows
from source_examples import example, lay_out
from talk_fixture import EARLIER, check_skipped, error_of, image_bytes, made, write_parquet, written

from groundswift.data_converters.base import Options
from groundswift.data_converters.registry import FORMATS

OURS = {"messages": [{"role": "user", "content": "<image>Where?"}, {"role": "assistant", "content": "<bbox>"}], "images": ["a.jpg"]}
OURS |= {"objects": {"ref": [], "bbox": [[1, 1, 4, 5]]}, "size_wh": [8, 6]}
ROWS: dict[str, dict[str, Any]] = {  # format -> a good row: that of its example, or one of ours
    name: next(content[0] for content in FORMATS[name].EXAMPLE.values() if isinstance(content, list))
    for name in ("glm4v", "llava", "phi3v", "shikra", "swift2", "video-chatgpt")
} | {
    "image-text": {"image": "a.jpg", "text": "A cat."},
    "refcoco-hub": {key: value for key, value in jxu124_rows()[0].items() if key in ("sentences", "bbox", "image_path", "split")},
    "scienceqa": {"question": "Which?", "choices": ["a", "b"], "answer": 1, "hint": "", "solution": ""},
    "to-glm4v": OURS,
    "to-shikra": OURS,
}
MORE = {"refcoco-hub": {"schema": "jxu124", "check_images": False}, "video-chatgpt": {"videos": "."}}


def row(name: str, number: int = 0) -> dict[str, Any]:
    """A good row."""
    return ROWS[name] | ({"ref_id": number} if name == "refcoco-hub" else {})


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Options]:
    """Write a file of rows of a format, or its bytes -> the options that read it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_bytes(image_bytes(form="JPEG"))
    (tmp_path / "v_1.mp4").write_bytes(b"video")

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


def as_list(name: str, **options: Any) -> bytes:
    """Two rows as a JSON list."""
    return json.dumps([row(name, number) for number in range(2)], **options).encode()


SPELLINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "byte order mark and CRLF": (".jsonl", lambda name: b"\xef\xbb\xbf" + lines(name).replace(b"\n", b"\r\n")),
    "no line break at the end": (".jsonl", lambda name: lines(name)[:-1]),
    "blank lines at the end": (".jsonl", lambda name: lines(name) + b"\n \n"),
    "a list": (".json", as_list),
    "a list with mark and CRLF": (".json", lambda name: b"\xef\xbb\xbf" + as_list(name, indent=1).replace(b"\n", b"\r\n")),
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


BAD_FILES = {
    "empty": (".jsonl", lambda name: b"", "rows.jsonl: "),
    "blank": (".jsonl", lambda name: b"\n\n", "rows.jsonl: "),
    "only a mark": (".jsonl", lambda name: b"\xef\xbb\xbf", "rows.jsonl: "),
    "cut": (".jsonl", lambda name: lines(name)[:-9], "rows.jsonl:2: the file stops in the middle of this line"),
    "an empty list": (".json", lambda name: b"[]", "rows.json: "),
    "a cut list": (".json", lambda name: as_list(name)[:-9], "rows.json: not "),
    "a list too deep": (".json", lambda name: b"[" * 100_000, "rows.json: not "),
    "empty Parquet": (".parquet", lambda name: b"", "rows.parquet: cannot be read"),
    "cut Parquet": (".parquet", lambda name: b"PAR1", "rows.parquet: cannot be read"),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("bad", BAD_FILES)
def test_a_file_that_cannot_be_read(source, name, bad):
    suffix, content, message = BAD_FILES[bad]
    assert message in error_of(source(name, content(name), suffix))


@pytest.mark.process
@pytest.mark.parametrize("name", ROWS)
def test_workers_give_the_same_bytes(source, tmp_path, name):
    options = source(name, [row(name, number) for number in range(600)])
    assert written(options, tmp_path / "one.jsonl") == written(options, tmp_path / "two.jsonl", workers=2)


@pytest.mark.parametrize("name", ROWS)
def test_a_problem_leaves_the_earlier_file(source, tmp_path, name):
    source(name, b"{}\n")
    out = tmp_path / "out.jsonl"
    out.write_bytes(EARLIER)
    more = {"refcoco-hub": ["--schema", "jxu124"], "video-chatgpt": ["--videos", "."]}.get(name, [])
    assert run("convert", name, tmp_path / "rows.jsonl", *more, "--out", out).exit_code == 1
    assert out.read_bytes() == EARLIER


DOCUMENTS = {  # formats whose source is one JSON document -> its name
    "otter": "DC_instructions.json",
    "scienceqa": "data/scienceqa/problems.json",
    "visual-genome": "region_descriptions.json",
}
READ = {
    "BOM": lambda text: b"\xef\xbb\xbf" + text,
    "CRLF": lambda text: json.dumps(json.loads(text), indent=1).replace("\n", "\r\n").encode(),
}
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda text: b"",
    "a number": lambda text: b"5",
    "cut": lambda text: text[:-5],
    "NaN": lambda text: text.replace(b'"', b"NaN", 1),
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "Latin-1": lambda text: text.replace(b"at", b"\xe4t").replace(b"Wh", b"W\xe4"),
    "deep": lambda text: text[:-9] + b"[" * 100_000,
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("spoilt", [None, *READ, *BROKEN])
def test_a_document(name, spoilt, tmp_path, monkeypatch):
    lay_out(name, tmp_path)
    monkeypatch.chdir(tmp_path)
    path, arguments = Path(DOCUMENTS[name]), example(name)
    if spoilt is not None:
        path.write_bytes((READ | BROKEN)[spoilt](path.read_bytes()))
    done = run(*arguments)
    if spoilt in BROKEN:
        assert done.exit_code == 1
        assert path.name in done.stderr
        assert "; expected " in done.stderr
    else:
        assert len(Path(arguments[arguments.index("--out") + 1]).read_bytes().splitlines()) == 1, done.stderr


def tasks() -> list[tuple[str, str]]:
    """(format, task) for each task of each format that has several."""
    hints = {name: get_type_hints(each, include_extras=False).get("task") for name, each in FORMATS.items()}
    return [(name, task) for name, hint in hints.items() for task in get_args(hint)]


@pytest.mark.parametrize(("name", "task"), tasks())
def test_lint_finds_nothing_in_any_task(name, task, tmp_path, monkeypatch):
    lay_out(name, tmp_path)
    monkeypatch.chdir(tmp_path)
    arguments = example(name)
    done = run(*arguments, "--task", task, "--language", "both", "--prompts", "sampled", "--workers", 2)
    assert done.exit_code == 0, done.stderr
    found = lint_findings(Path(arguments[arguments.index("--out") + 1]))
    assert set(found) <= {"duplicate-label"}
