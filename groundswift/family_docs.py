"""The table of families for people: what `groundswift families` prints and the README shows, from the rows and the real formatter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .answers import Located
from .coordinates import from_original_px, resized_wh
from .family import Family, families
from .grammars.registry import format_answer
from .spaces import SPACES

SIZE_WH = (640, 480)
DOG_XYXY_PX = (141.4, 203.0, 364.2, 425.3)
COLUMNS = ("family", "template", "space", "step at 640 x 480 px", "a dog at (141, 203), (364, 425) of 640 x 480 px", "no object")


def example(row: Family) -> str:
    """What a family writes for one dog in an image of 640 x 480 px; its centre for a family of points only."""
    model_input_wh = resized_wh(SIZE_WH, row.name) if row.resize_factor else None
    if not row.boxes:
        x1, y1, x2, y2 = DOG_XYXY_PX
        middle = ((x1 + x2) / 2, (y1 + y2) / 2)
        x, y = from_original_px([[*middle, *middle]], row.name, SIZE_WH, model_input_wh)[0, :2].tolist()
        return format_answer([Located("dog", None, (x, y))], row.name)
    x1, y1, x2, y2 = from_original_px([DOG_XYXY_PX], row.name, SIZE_WH, model_input_wh)[0].tolist()
    return format_answer([Located("dog", (x1, y1, x2, y2))], row.name)


def step_px(row: Family) -> list[float]:
    """The step of the last written digit in px of an image of 640 x 480 px (x, y): no box is more exact than half of it."""
    model_input_wh = resized_wh(SIZE_WH, row.name) if row.resize_factor else None
    return [round(step, 3) for step in row.quantum_px(SIZE_WH, model_input_wh)]


def step_text(steps_px: list[float]) -> str:
    """Both steps for a cell."""
    return " x ".join(f"{step:.2f}" for step in steps_px)


def facts(rows: Iterable[Family] | None = None) -> list[dict[str, Any]]:
    """One dict a family (all of them by default), for JSON: everything that the table declares, and an example."""
    return [
        {
            "family": row.name,
            "grammar": row.grammar_name,
            "space": row.space,
            "space_is": SPACES[row.space].meaning,
            "rounding": SPACES[row.space].rounding,
            "step_px_at_640x480": step_px(row),
            "axis_order": row.axis_order,
            "labels": row.labels,
            "boxes": row.boxes,
            "points": row.points,
            "swift_model_types": list(row.swift_model_types),
            "templates": list(row.templates),
            "example": example(row),
            "empty_answer": row.empty_answer,
            "traps": list(row.traps),
            "source": row.source,
        }
        for row in rows or families().values()
    ]


def markdown(rows: Iterable[Family] | None = None) -> str:
    """The README's table, one line a family."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join(["---"] * len(COLUMNS)) + " |"]
    for row in rows or families().values():
        templates = ", ".join(f"`{name}`" for name in row.templates) or "(read only)"
        cells = (f"`{row.name}`", templates, f"`{row.space}`", step_text(step_px(row)), code(example(row)), code(row.empty_answer))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def one_line(answer: str) -> str:
    """An answer without its code fence and line breaks."""
    return " ".join(answer.replace("```json", "").replace("```", "").split())


def code(answer: str) -> str:
    """An answer as code in a cell of a Markdown table."""
    return "`" + one_line(answer).replace("|", "\\|") + "`"


def text(rows: Iterable[Family] | None = None) -> str:
    """The table for a terminal: a block a family."""
    blocks = []
    for fact in facts(rows):
        lines = [
            f"{fact['family']}",
            f"  space      {fact['space']}: {fact['space_is']}",
            f"  step       {step_text(fact['step_px_at_640x480'])} px in an image of 640 x 480 px",
            f"  writes     {one_line(fact['example'])}",
            f"  no object  {one_line(fact['empty_answer'])}",
            f"  templates  {', '.join(fact['templates']) or '(read only)'}",
        ]
        lines += [f"  trap       {trap}" for trap in fact["traps"]]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
