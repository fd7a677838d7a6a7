"""Rows of swift as tests write them, and the way back: from an encoding to boxes in original pixels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from groundswift import families, parse, to_original_px
from groundswift.answers import Answer, Located

PROMPT = "<image>Detect every object of these categories: cat, dog."


def detection(path: Path | str, labels: Sequence[str], boxes: Sequence[Sequence[float]], prompt: str = PROMPT) -> dict[str, Any]:
    """One image, one box a label; without labels the answer None."""
    answer = "<ref-object><bbox>" * len(labels) or "None"
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "images": [str(path)], "objects": {"ref": list(labels), "bbox": [list(box) for box in boxes]}}


def four_boxes(path: Path | str, size_wh: tuple[int, int]) -> tuple[dict[str, Any], list[str], list[list[float]]]:
    """A row with several classes and several boxes of one, at borders and with fractions -> (row, label of each box, boxes in px)."""
    width, height = size_wh
    boxes = [
        [0.1 * width, 0.2 * height, 0.63 * width, 0.81 * height],
        [0, 0, width, height],
        [width - 9, height - 7, width, height],
        [0, 0.5 * height, 0.1 * width + 1, 0.7 * height],
    ]
    row = detection(path, ["cat", "dog", "cat"], boxes)
    row["messages"][1]["content"] = "<ref-object><bbox><bbox><ref-object><bbox><ref-object><bbox>"
    return row, ["cat", "cat", "dog", "cat"], boxes


def as_written(boxes: Sequence[Sequence[float]], family: str) -> list[list[float]]:
    """Boxes as a family can write them: where it has points only, their first corners."""
    return [list(box) if families()[family].boxes else list(box[:2]) for box in boxes]


def read_rows(path: Path | str) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def noise(path: Path, size_wh: tuple[int, int], seed: int = 0) -> Path:
    """An image of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def plain(path: Path, size_wh: tuple[int, int]) -> Path:
    """An image of one colour."""
    Image.new("RGB", size_wh, (200, 30, 90)).save(path, compress_level=1)
    return path


def trained_text(template: Any, encoding: dict[str, Any]) -> str:
    """The text that has loss, without the mark that ends it."""
    text = template.tokenizer.decode([token for token in encoding["labels"] if token != -100]).rstrip("\n")
    marks = [mark if isinstance(mark, str) else template.tokenizer.decode(mark) for mark in template.template_meta.suffix]
    end = "".join(marks).strip()
    assert text.endswith(end), f"{text!r} does not end in {end!r}"
    return text.removesuffix(end)


def answer_of(text: str) -> str:
    """A text without the thoughts and the name of a channel before it."""
    for mark in ("</think>", "<channel|>", "<|message|>"):
        text = text.rsplit(mark, 1)[-1]
    return text.strip("\n").removeprefix("<s>")


def trained_answer(template: Any, encoding: dict[str, Any]) -> str:
    """The answer that has loss."""
    return answer_of(trained_text(template, encoding))


def places(located: Sequence[Located], family: str, size_wh: tuple[int, int], model_input_wh: tuple[int, int] | None) -> np.ndarray:
    """(N, 4) float64 xyxy in original px; of a point its place twice."""
    corners = [one.box or one.point * 2 for one in located]
    return to_original_px(corners, family, size_wh, model_input_wh)


def assert_within_half_a_quantum(
    found: np.ndarray, expected: Sequence[Sequence[float]], family: str, size_wh: tuple[int, int], model_input_wh: tuple[int, int] | None
) -> None:
    """Each place as near to the one that was taught as the family can write it."""
    half = np.array(families()[family].quantum_px(size_wh, model_input_wh) * 2) / 2
    off = np.abs(found - np.array(expected))
    assert (off <= half + 1e-9).all(), f"off by {off.max(axis=0)} px, half a quantum is {half}"


def read_back(template: Any, encoding: dict[str, Any], family: str) -> Answer:
    """The answer that an encoding teaches, which must be parsed without a warning."""
    text = trained_answer(template, encoding)
    answer = parse(text, family)
    assert (answer.status, answer.reasons) == ("ok", []), text
    return answer
