"""The report on a row: its place, its tokens, the encoded text, and its boxes one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from groundswift.family import family_row
from groundswift.image_marks import drawable
from groundswift.spaces import space_row
from groundswift.terminal import printable

from ..encoding import NO_LOSS, Encoded
from .drawing import Marked, coloured, is_outside
from .encoded_boxes import Mark, ParsedBoxes, Part
from .terminal import LOSS_STYLE, RESET, painted

LABEL_SIZE_PX = 12
QUOTED = 80  # characters of an answer that could not be read
OF_A_MARK = ("number", "label", "image", "written", "original_px", "model_input_px") + (  # for a program
    *("truth_px", "off_px", "quantum_px", "differs", "has_loss"),
)


@dataclass(frozen=True)
class RowReport:
    """One row as the model gets it: everything that the command prints and draws."""

    where: str
    sample_id: Any
    model: str
    template: str
    images: list[str]
    encoded: Encoded
    parts: list[Part]
    seen: ParsedBoxes
    image_tokens: int

    def marked_on(self, image: int) -> list[Marked]:
        """The marks of one image, by its index, with their colours."""
        return [(mark, colour) for mark, colour in coloured(self.seen.marks) if mark.image == image]


def token_counts(report: RowReport) -> dict[str, int]:
    """Number of tokens, of image tokens, and of tokens with loss."""
    has_loss = sum(label != NO_LOSS for label in report.encoded.labels)
    return {"all": len(report.encoded.input_ids), "image": report.image_tokens, "has_loss": has_loss}


def caption(report: RowReport, image: int) -> str:
    """`image 1: 640x480 -> 644x476 px`."""
    return f"image {image + 1}: {_size(report.encoded.sizes_wh[image])} -> {_size(report.encoded.model_input_wh[image])} px"


def report_lines(report: RowReport, colour: bool) -> list[str]:
    """The report as lines; without `colour` text with loss is between >>> and <<<."""
    row = family_row(report.encoded.family)
    counts = token_counts(report)
    name = "" if report.sample_id is None else f", sample_id {report.sample_id}"
    lines = [
        f"row      {report.where}{name}",
        f"model    {report.model}",
        f"template {report.template}, family {row.name}",
        f"space    {row.space}: {space_row(row.space).meaning}",
    ]
    lines += [f"{caption(report, index)}, {path}" for index, path in enumerate(report.images)]
    if report.encoded.tiles:
        count, size_wh = report.encoded.tiles
        lines.append(f"         in {count} tiles of {_size(size_wh)} px")
    images = f"{counts['image']} of images, " if report.images else ""
    lines.append(f"tokens   {counts['all']} in all, {images}{counts['has_loss']} with loss")
    lines += ["", *encoded_text(report.parts, colour).splitlines(), ""]
    lines += box_lines(report, colour)
    return [line if colour and "\x1b" in line else printable(line) for line in lines]


def encoded_text(parts: Sequence[Part], colour: bool) -> str:
    """The text of all tokens, parts with loss marked."""
    pieces = []
    for part in parts:
        text = printable(part.text)
        if not part.has_loss:
            pieces.append(text)
        elif colour:
            pieces.append("\n".join(f"{LOSS_STYLE}{line}{RESET}" if line else "" for line in text.split("\n")))
        else:
            pieces.append(f">>>{text}<<<")
    return "".join(pieces)


def box_lines(report: RowReport, colour: bool) -> list[str]:
    """One line a box, what could not be read, and a sentence whether all is well."""
    marks, several = report.seen.marks, len(report.images) > 1
    lines = ["boxes and points, read from the encoded text: as written -> px of the original image"] if marks else []
    for mark, shade in coloured(marks):
        number = painted(f"{mark.number:>3}", shade) if colour else f"{mark.number:>3}"
        places = f"{_numbers(mark.written)} -> {_numbers(mark.original_px)}"
        lines.append(f"{number} {printable(mark.label) or '(no label)'}  {places}{_remark(mark, several)}")
    if any(drawable(mark.label, LABEL_SIZE_PX) != " ".join(mark.label.split()) for mark in marks):
        lines.append("characters that the font lacks are drawn as ?")
    found = problems(report)
    compared = sum(mark.truth_px is not None for mark in marks)
    if compared and not found:
        lines.append(f"{compared} of {len(marks)} compared with objects.bbox: none differs by more than one step of the space")
    if not marks and not found:
        lines.append("no boxes, and none in objects.bbox")
    return lines + found


def problems(report: RowReport) -> list[str]:
    """Problems with a row's boxes, one sentence each."""
    found = [f"note: {note}" for note in report.seen.notes]
    for mark in report.seen.marks:
        name = f"{mark.number} {mark.label or '(no label)'}"
        if is_outside(mark, report.encoded.model_input_wh[mark.image]):
            found.append(f"OUTSIDE: {name} is outside its image")
        if mark.differs:
            by = f"{mark.off_px[0]:.1f}, {mark.off_px[1]:.1f} px (x, y)"
            step = f"one step of the space is {mark.quantum_px[0]:.2f}, {mark.quantum_px[1]:.2f} px"
            found.append(f"DIFFERS: {name} differs from objects.bbox {_numbers(mark.truth_px)} by {by}; {step}")
    for place, answer in enumerate(report.seen.answers, 1):
        if answer.is_prose:
            continue
        if answer.status in ("truncated", "unreadable"):
            text = f"{answer.text.strip()[:QUOTED]!r}"
            found.append(f"NOT READ: answer {place} is {answer.status} for family {report.encoded.family}: {text}")
        if answer.reasons:
            found.append(f"parse warnings of answer {place}: {', '.join(dict.fromkeys(answer.reasons))}")
    return found


def as_json(report: RowReport, png: str | None) -> dict[str, Any]:
    """The report for a program."""
    return {
        "row": report.where,
        "sample_id": report.sample_id,
        "model": report.model,
        "template": report.template,
        "family": report.encoded.family,
        "space": family_row(report.encoded.family).space,
        "images": [
            {"path": path, "size_wh": size_wh, "model_input_wh": model_input_wh}
            for path, size_wh, model_input_wh in zip(report.images, report.encoded.sizes_wh, report.encoded.model_input_wh, strict=True)
        ],
        "tiles": None if report.encoded.tiles is None else {"count": report.encoded.tiles[0], "size_wh": report.encoded.tiles[1]},
        "tokens": token_counts(report),
        "parts": [{"text": part.text, "has_loss": part.has_loss} for part in report.parts],
        "answers": [asdict(answer) for answer in report.seen.answers],
        "boxes": [{name: getattr(mark, name) for name in OF_A_MARK} for mark in report.seen.marks],
        "problems": problems(report),
        "png": png,
    }


def _remark(mark: Mark, several: bool) -> str:
    remarks = [f"image {mark.image + 1}"] if several else []
    remarks += [] if mark.has_loss else ["in the question"]
    remarks += ["DIFFERS"] if mark.differs else []
    return f"  ({', '.join(remarks)})" if remarks else ""


def _size(size_wh: Sequence[int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"


def _numbers(values: Sequence[float]) -> str:
    shown = (f"{value:.1f}".removesuffix(".0") if abs(value) >= 2 else f"{value:.3f}".rstrip("0").rstrip(".") for value in values)
    return f"({', '.join(shown)})"
