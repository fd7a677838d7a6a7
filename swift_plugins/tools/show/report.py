"""What is said about a row: where it stands, what it costs, the encoded text, and its boxes one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundswift.family import family_row
from groundswift.spaces import space_row

from ..encoding import NO_LOSS, Encoded
from .drawing import drawable, lies_outside
from .encoded_boxes import Mark, Part, Seen
from .terminal import LOSS_STYLE, RESET, harmless, painted

LABEL_SIZE_PX = 12
QUOTED = 80  # characters of an answer that could not be read


@dataclass(frozen=True)
class RowReport:
    """One row as the model sees it: all that the command has to say and to draw."""

    where: str
    sample_id: Any
    model: str
    template: str
    images: list[str]
    encoded: Encoded
    parts: list[Part]
    seen: Seen
    image_tokens: int


def token_counts(sight: RowReport) -> dict[str, int]:
    """How many tokens there are, how many of them stand for images, and how many are learnt."""
    has_loss = sum(label != NO_LOSS for label in sight.encoded.labels)
    return {"all": len(sight.encoded.input_ids), "image": sight.image_tokens, "has_loss": has_loss}


def caption(sight: RowReport, image: int) -> str:
    """`image 1: 640x480 -> 644x476 px`."""
    return f"image {image + 1}: {_size(sight.encoded.sizes_wh[image])} -> {_size(sight.encoded.model_input_wh[image])} px"


def report_lines(sight: RowReport, colour: bool, colours: Sequence[Sequence[int]]) -> list[str]:
    """The whole report as lines; without `colour` what is learnt stands between >>> and <<<."""
    row = family_row(sight.encoded.family)
    counts = token_counts(sight)
    name = "" if sight.sample_id is None else f", sample_id {sight.sample_id}"
    lines = [
        f"row      {sight.where}{name}",
        f"model    {sight.model}",
        f"template {sight.template}, family {row.name}",
        f"space    {row.space}: {space_row(row.space).meaning}",
    ]
    for index, path in enumerate(sight.images):
        lines.append(f"{caption(sight, index)}, {path}")
    if sight.encoded.tiles:
        count, size_wh = sight.encoded.tiles
        lines.append(f"         fed in {count} tiles of {_size(size_wh)} px")
    images = f"{counts['image']} of images, " if sight.images else ""
    lines.append(f"tokens   {counts['all']} in all, {images}{counts['has_loss']} with loss")
    lines += ["", *encoded_text(sight.parts, colour).splitlines(), ""]
    lines += box_lines(sight, colour, colours)
    return [line if colour and "\x1b" in line else harmless(line) for line in lines]


def encoded_text(parts: Sequence[Part], colour: bool) -> str:
    """The text of all tokens, with the learnt parts marked."""
    pieces = []
    for part in parts:
        text = harmless(part.text)
        if not part.has_loss:
            pieces.append(text)
        elif colour:
            pieces.append("\n".join(f"{LOSS_STYLE}{line}{RESET}" if line else "" for line in text.split("\n")))
        else:
            pieces.append(f">>>{text}<<<")
    return "".join(pieces)


def box_lines(sight: RowReport, colour: bool, colours: Sequence[Sequence[int]]) -> list[str]:
    """One line a box, what could not be read, and a sentence whether all is well."""
    marks, several = sight.seen.marks, len(sight.images) > 1
    lines = []
    if marks:
        lines.append("boxes and points, read from the encoded text: as written -> px of the original image")
    for mark, shade in zip(marks, colours, strict=True):
        number = painted(f"{mark.number:>3}", shade) if colour else f"{mark.number:>3}"
        lines.append(
            f"{number} {harmless(mark.label) or '(no label)'}  {_numbers(mark.written)} -> {_numbers(mark.px)}" + _remark(mark, several)
        )
    if any(drawable(mark.label, LABEL_SIZE_PX) != " ".join(mark.label.split()) for mark in marks):
        lines.append("a label holds characters that the picture's font has not: they are drawn as ?")
    told = problems(sight)
    compared = sum(mark.truth_px is not None for mark in marks)
    if compared and not told:
        lines.append(f"{compared} of {len(marks)} compared with objects.bbox: none is off by more than a step of the space")
    if not marks and not told:
        lines.append("no boxes, and none in objects.bbox")
    return lines + told


def problems(sight: RowReport) -> list[str]:
    """What is wrong with a row's boxes, one sentence each; none where all is well."""
    told = [f"note: {note}" for note in sight.seen.notes]
    for mark in sight.seen.marks:
        if lies_outside(mark, sight.encoded.model_input_wh[mark.image]):
            told.append(f"OUTSIDE: {mark.number} {mark.label or '(no label)'} lies outside its picture")
        if mark.differs:
            off, step = mark.off_px, mark.quantum_px
            told.append(
                f"DIFFERS: {mark.number} {mark.label or '(no label)'} is off objects.bbox {_numbers(mark.truth_px)} by "
                f"{off[0]:.1f}, {off[1]:.1f} px (x, y); a step of the space is {step[0]:.2f}, {step[1]:.2f} px"
            )
    for place, answer in enumerate(sight.seen.answers, 1):
        if answer.status in ("truncated", "unreadable") and not answer.is_prose:
            text = f"{answer.text.strip()[:QUOTED]!r}"
            told.append(f"NOT READ: answer {place} is {answer.status} as text of family {sight.encoded.family}: {text}")
        if answer.reasons and not answer.is_prose:
            told.append(f"met in answer {place}: {', '.join(dict.fromkeys(answer.reasons))}")
    return told


def as_json(sight: RowReport, png: str | None) -> dict[str, Any]:
    """The report for a program."""
    return {
        "row": sight.where,
        "sample_id": sight.sample_id,
        "model": sight.model,
        "template": sight.template,
        "family": sight.encoded.family,
        "space": family_row(sight.encoded.family).space,
        "images": [
            {"path": path, "size_wh": size_wh, "model_input_wh": model_input_wh}
            for path, size_wh, model_input_wh in zip(sight.images, sight.encoded.sizes_wh, sight.encoded.model_input_wh, strict=True)
        ],
        "tiles": None if sight.encoded.tiles is None else {"count": sight.encoded.tiles[0], "size_wh": sight.encoded.tiles[1]},
        "tokens": token_counts(sight),
        "parts": [{"text": part.text, "has_loss": part.has_loss} for part in sight.parts],
        "answers": [{"text": answer.text, "status": answer.status, "reasons": answer.reasons} for answer in sight.seen.answers],
        "boxes": [_mark_as_json(mark) for mark in sight.seen.marks],
        "problems": problems(sight),
        "png": png,
    }


def _mark_as_json(mark: Mark) -> dict[str, Any]:
    return {
        "number": mark.number,
        "label": mark.label,
        "image": mark.image,
        "written": mark.written,
        "original_px": mark.px,
        "model_input_px": mark.model_input_px,
        "truth_px": mark.truth_px,
        "off_px": mark.off_px,
        "quantum_px": mark.quantum_px,
        "differs": mark.differs,
        "has_loss": mark.has_loss,
    }


def _remark(mark: Mark, several: bool) -> str:
    said = [f"image {mark.image + 1}"] if several else []
    said += [] if mark.has_loss else ["in the question"]
    said += ["DIFFERS"] if mark.differs else []
    return f"  ({', '.join(said)})" if said else ""


def _size(size_wh: Sequence[int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"


def _numbers(values: Sequence[float]) -> str:
    return (
        "("
        + ", ".join(f"{value:.1f}".removesuffix(".0") if abs(value) >= 2 else f"{value:.3f}".rstrip("0").rstrip(".") for value in values)
        + ")"
    )
