"""Rows of every kind that converters write: the lint finds nothing in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lint_rows import HEIGHT, WIDTH
from lint_rows import rules as broken
from PIL import Image

MAN, DOG, BALL = [4, 4, 20, 40], [24, 20, 44, 40], [50, 30, 58, 38]


def row(*turns: Any, images: tuple[str, ...] = ("a.png",), **more: Any) -> dict[str, Any]:
    """A conversation: the user's turns and the answers, in turn."""
    messages = [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(turns)]
    about = {"images": list(images), "size_wh": [WIDTH, HEIGHT]} if images else {}
    return {"messages": messages, "sample_id": "x/1"} | about | more


def objects(ref: list[str], *boxes: list[float], **more: Any) -> dict[str, Any]:
    return {"objects": {"ref": ref, "bbox": list(boxes), "bbox_type": "real", **more}}


FIND = ("<image>Find <ref-object>.", "<bbox>")
DESCRIBE = ("<image>Describe the object at <bbox>.", "the man on the left")
POINT = ("<image>Point at <ref-object>.", "<bbox>")
CAPTION = "<ref-object><bbox> throws <ref-object><bbox> to <ref-object><bbox><bbox>."
TWO = ("a.png", "b.png")
FINE: dict[str, dict[str, Any]] = {
    "find": row(*FIND, **objects(["the man"], MAN), prompt="find.en.1"),
    "find several": row("<image>Find <ref-object>.", "<bbox><bbox>", **objects(["people"], MAN, DOG)),
    "find nothing": row("<image>Find <ref-object>.", "None", **objects(["a cat"])),
    "describe": row(*DESCRIBE, **objects([], MAN)),
    "describe, in two rounds": row(*DESCRIBE, "And at <bbox>?", "a dog", **objects([], MAN, DOG)),
    "describe by name": row("<image>What is at <bbox>?", "<ref-object>", **objects(["the man"], MAN)),
    "point": row(*POINT, **objects(["the ball"], [54, 34])),
    "points": row(POINT[0], "<bbox><bbox>", **objects(["eyes"], [10, 6], [14, 6])),
    "points and boxes": row("<image>What is at <bbox>?", "A man, <bbox>.", **objects([], [10, 6], MAN)),
    "a point at the corner": row(*POINT, **objects(["the corner"], [64, 48])),
    "grounded caption": row("<image>Describe the image.", CAPTION, **objects(["A man", "a ball", "two dogs"], MAN, BALL, DOG, MAN)),
    "grounded sentence": row("<image>Ground: A man and a dog.", "<ref-object><bbox>" * 2, **objects(["A man", "a dog"], MAN, DOG)),
    "caption": row("<image>What does the image show?", "A man\nand a dog.", prompt="caption.en.2"),
    "text alone": row("Name a fruit.", "Apple.", images=()),
    "text alone, in rounds": row("Name a fruit.", "Apple.", "Another?", "Pear.", images=()),
    "answer with letters": row("<image>Which one?\nA. cat\nB. dog", "B"),
    "LaTeX": row("<image>Write it as LaTeX.", r"\frac { 1 } { 2 } < \left\{ x \right\} \langle a \rangle"),
    "two images": row("<image><image>Where is <ref-object>?", "<bbox>", images=TWO, **objects(["the dog"], DOG, image_id=[1])),
    "a box in each": row("<image><image><bbox> or <bbox>?", "Both.", images=TWO, **objects([], [1, 1, 60, 40], MAN, image_id=[0, 1])),
    "two images, no box": row("<image>Before. <image>After. What changed?", "Nothing.", images=TWO),
    "video": row("<video>What happens?", "A dog runs.", images=(), videos=["clip.mp4"]),
    "two videos": row("<video><video>Which is longer?", "The first.", images=(), videos=["clip.mp4", "other.mp4"]),
    "video as text": row("<video>?", "A dog.", images=(), videos="clip.mp4"),
    "video of frames": row("<video>?", "A dog.", images=(), videos=[["a.png", "b.png"]]),
    "video column": row("<video>?", "A dog.", images=(), video="clip.mp4"),
    "video in parts": row([{"type": "video", "video": "clip.mp4"}, {"type": "text", "text": "?"}], "A dog runs.", images=()),
    "video and image": row("<image><video>Is it in the film?", "Yes, <bbox>.", videos=["clip.mp4"], **objects([], DOG)),
    "an absolute video": row("<video>?", "A dog.", images=(), videos=["{here}/clip.mp4"]),
    "Chinese": row("<image>找到<ref-object>。", "<bbox>", **objects(["左边的人"], MAN), prompt="find.zh.1"),
}
EMPTY = row("<image>Detect every cat.", "None", **objects([]), sample_id="x/0")  # a list of phrases looks as detection, which wants one


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (WIDTH, HEIGHT), "grey").save("a.png")
    Image.new("RGB", (50, 41), "red").save("b.png")
    for name in ("clip.mp4", "other.mp4"):
        Path(name).write_bytes(b"\0\0\0\x18ftypmp42")


def found(*rows: dict[str, Any]) -> set[str]:
    """The rules that rows break."""
    return broken([(json.dumps(each).replace("{here}", str(Path.cwd())) + "\n").encode() for each in rows], "--decode")


@pytest.mark.parametrize("name", FINE)
def test_what_is_fine(name):
    assert found(FINE[name], EMPTY) == set()


def test_all_kinds_in_one_file():
    assert found(*({**each, "sample_id": name} for name, each in FINE.items())) == set()


@pytest.mark.parametrize(
    "phrased",
    [
        lambda phrase: row(*FIND, **objects([phrase], MAN), prompt="find.en.1"),
        lambda phrase: row("<image>?", f"A dog and <ref-object><bbox>, {phrase}.", **objects([phrase], MAN)),
        lambda phrase: row(f"<image>{phrase}?", "<ref-object><bbox>", **objects([phrase], MAN), prompt="phrase_grounding.en.1"),
    ],
    ids=["find", "grounded caption", "phrase grounding"],
)
def test_phrases_are_no_classes_and_may_be_spelt_in_many_ways(phrased):
    phrases = ["A man", "a man", "a mn", *["a man"] * 60]
    assert found(*(phrased(phrase) | {"sample_id": f"x/{number + 1}"} for number, phrase in enumerate(phrases))) == set()
