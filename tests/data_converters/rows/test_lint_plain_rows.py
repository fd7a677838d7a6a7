"""Rows that are read the fast way get the findings, facts and bytes of rows that are checked as a whole, on any number of processes."""

from __future__ import annotations

import copy
import json
import os
import pickle
import random
from collections import deque
from typing import Any

import pytest
from lint_rows import row
from PIL import Image

from groundswift.data_converters.rows import jsonl_lines
from groundswift.data_converters.rows.lint import block_check
from groundswift.data_converters.rows.lint.block_check import LintOptions
from groundswift.data_converters.rows.lint.checks_images import ImageChecks
from groundswift.data_converters.rows.lint.findings import Findings
from groundswift.data_converters.rows.lint.lint_result import Lint
from groundswift.data_converters.rows.lint.plain_rows import PlainRows
from groundswift.data_converters.rows.lint.report import document
from groundswift.data_converters.rows.lint.run import lint_lines
from groundswift.errors import GroundswiftError
from groundswift.worker_pool import WorkerPool

LIST, FIND = "<ref-object><bbox>", "<image>Find <ref-object>."
SIZE_WH = [64, 48]
NUMBERS = [0, 1, 5, 10.25, 0.5, 48, 64, 65.5, -2, 1e300, 7.0, True, "3", None]
PARTS = [{"type": "image", "image": "a.png"}, {"type": "text", "text": "Detect: cat, dog."}]
SAID = ["user", "assistant", "", LIST, FIND, None, "<imge>", PARTS]
LABELS = ["cat", "cat", "dog", "owl in a tree", " cat", "", "a<bbox>", "line\nbreak", "x" * 1100, "none", "café", "[1, 2]"]
IDS = [1, 2, 2, 7.0, "2", "a", True, None, 1 << 70]
EXTRA = {
    "videos": ["no.mp4"],
    "response": "So.",
    "rejected_response": "No.",
    "solution": "[1, 2, 3, 4]",
    "label": "x",
    "note": 1,
    "system": "S.",
}
WHOLE = "image_id", "bbox_type", "size_wh", "images", "messages", "prompt", "objects"
ODD = [[], None, [0, 0], [64, 48.0], "norm1", "real", ["a.png", "a.png"], [" "], "a.png", {}, "phrase_grounding.en.1", [[1]]]


def plain(rng: random.Random) -> dict[str, Any]:
    """A row of a converter, with up to 3 objects."""
    count = rng.randint(0, 3)
    corners = [[index / 4, rng.choice([2, 3.25]), rng.choice([20, 33.5, 64]), rng.choice([30.75, 48])] for index in range(count)]
    refs, question, answer = [rng.choice(LABELS[:4]) for _ in range(count)], "<image>Detect: cat, dog.", LIST * count or "None"
    if rng.random() < 0.3 and count:
        refs, question, answer = refs[:1], FIND, "<bbox>" * count
    boxed = {"ref": refs, "bbox": corners, "bbox_type": "real"}
    return row(answer, question, images=["a.png"], objects=boxed, sample_id=rng.choice(IDS[:3]), size_wh=SIZE_WH, prompt="detect.en.1")


def broken(made: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The row with one part of it replaced."""
    kind, objects = rng.choice([0, 0, 0, 0, *range(1, 8)]), made["objects"]
    if kind == 0 and objects["bbox"]:
        rng.choice(objects["bbox"])[rng.randrange(4)] = rng.choice(NUMBERS)
    elif kind == 1 and objects["bbox"]:
        objects["bbox"][-1] = rng.choice([objects["bbox"][0], [1, 2], [1, 2, 3], [], [[1, 2], [3, 4]]])
    elif kind == 2 and objects["ref"]:
        objects["ref"][-1] = rng.choice(LABELS)
    elif kind == 3:
        made["sample_id"] = rng.choice(IDS)
    elif kind == 4:
        key = rng.choice(list(EXTRA))
        made[key] = EXTRA[key]
    elif kind == 5:
        made["messages"][rng.randrange(2)][rng.choice(["role", "content", "content"])] = rng.choice(
            ["user", "assistant", "", LIST, FIND, None, "<imge>", PARTS]
        )
    elif kind == 6:
        name = rng.choice(WHOLE)
        (objects if name in WHOLE[:2] else made)[name] = rng.choice(ODD)
    else:
        made.pop(rng.choice(list(made)))
    return made


def lines_of_set(seed: int) -> bytes:
    """60 rows, of which two in five are broken, and lines that are no rows."""
    rng, lines = random.Random(seed), []
    for _ in range(60):
        made = copy.deepcopy(plain(rng))
        line = json.dumps(broken(made, rng) if rng.random() < 0.4 else made, ensure_ascii=rng.random() < 0.5, indent=None).encode()
        if rng.random() < 0.05:
            line = rng.choice([b"", b"{", line.replace(b"Detect", b"D\xfftect"), line[:-1] + b', "sample_id": 5}', b"\xef\xbb\xbf" + line])
        lines.append(line)
    return b"\n".join(lines)


def linted(options: LintOptions, pool: WorkerPool | None = None, fix: bool = True) -> tuple[Any, bytes]:
    """(everything that lint says, the fixed lines, or the error)."""
    found = Lint(["set.jsonl"], Findings(5))
    lines: deque[bytes] = deque()
    try:
        lines.extend(lint_lines(found.files, options, found, fix, pool=pool))
    except GroundswiftError as error:
        lines.append(str(error).encode())
    return document(found, "out"), b"".join(lines)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jsonl_lines, "BLOCK", 2000)  # so that a set has several
    Image.new("RGB", tuple(SIZE_WH)).save("a.png")


@pytest.mark.parametrize("images", [None, ImageChecks()], ids=["unopened", "opened"])
@pytest.mark.parametrize("family", [None, "qwen2_vl"])
def test_plain_rows_are_rows(tmp_path, monkeypatch, images, family):
    for seed in range(12):
        (tmp_path / "set.jsonl").write_bytes(lines_of_set(seed))
        fast = linted(LintOptions(images, family))
        with monkeypatch.context() as patched:
            patched.setattr(PlainRows, "read", lambda self, lines: ([None] * len(lines), [None] * len(lines)))
            assert fast == linted(LintOptions(images, family)), seed


def test_well_formed_rows_are_read_fast(tmp_path, monkeypatch):
    rng = random.Random(0)
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(plain(rng) | {"sample_id": number}) + "\n" for number in range(200)))
    monkeypatch.setattr(block_check, "readable_boxes", None)  # no row is checked as a whole
    assert linted(LintOptions(ImageChecks()))[0]["rows"] == 200


@pytest.mark.process
def test_any_number_of_processes(tmp_path):
    (tmp_path / "set.jsonl").write_bytes(b"\n".join(map(lines_of_set, range(20))))
    alone = linted(LintOptions())
    with WorkerPool(3) as pool:
        assert linted(LintOptions(), pool) == alone
    assert alone[0]["rows"] > 1000
    limited = linted(LintOptions(limit=77), fix=False)[0]
    assert limited["rows"] == 77


def test_another_process_gets_the_places_of_blocks():
    with open("set.jsonl", "wb") as out:
        out.write(b"\n".join(map(lines_of_set, range(3))))
    blocks = list(jsonl_lines.blocks_of("set.jsonl"))
    sent = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(blocks))))
    assert not any(block.data for block in sent)
    assert [(block.number, block.size, block.loaded().data) for block in sent] == [(each.number, each.size, each.data) for each in blocks]
    os.truncate("set.jsonl", 5000)
    with pytest.raises(GroundswiftError, match="became shorter while being read"):
        sent[-1].loaded()
