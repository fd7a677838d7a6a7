"""A comparison of two runs as tables of the report and as lines of the terminal."""

from __future__ import annotations

from ..evaluated_run import Table
from .comparison import Changed, Paired

MOST_SHOWN = 200  # of each list, in the report


def paired_tables(found: Paired) -> list[Table]:
    """The tests and what changed, for the report."""
    columns = ["number", found.first, found.other, "difference", "from", "to", "p"]
    rows = [[each.number, each.first, each.other, each.difference, *(each.interval or (None, None)), each.p] for each in found.differences]
    note = (
        f"{found.images} images are in both runs. from, to: 95 % of the differences of a paired bootstrap over images. "
        "p: share of random swaps of the two answers to an image whose difference is at least as large."
    )
    tables = [Table("paired", f"{found.first} and {found.other}", columns, rows, note=found.refused or note)]
    for name, changes in (("fixed", found.fixed), ("regressed", found.regressed)):
        shown = [[_id(each), each.file_name, each.label or each.question, _place(each)] for each in changes[:MOST_SHOWN]]
        title = f"{name.capitalize()} in {found.other}: {len(changes)}"
        tables.append(
            Table(
                name,
                title,
                ["image", "file", "object", "box, px"],
                shown,
                note=f"The first {MOST_SHOWN}." if len(changes) > MOST_SHOWN else "",
            )
        )
    return tables


def paired_lines(found: Paired) -> list[str]:
    """The same for the terminal, without names of images."""
    head = f"{found.first} and {found.other}, {found.images} images"
    if found.refused:
        return [f"{head}: no paired test, because {found.refused}"]
    lines = []
    for each in found.differences:
        between = "" if each.interval is None else f" [{each.interval[0]:+.3f}, {each.interval[1]:+.3f}]"
        lines.append(f"{head}: {each.number} {each.first:.3f} and {each.other:.3f}, {each.difference:+.3f}{between}, p = {each.p:.3f}")
    return [*lines, f"{head}: {len(found.fixed)} fixed, {len(found.regressed)} regressed (paired.json)"]


def _id(changed: Changed) -> int | str:
    """The image, or the sample of a run of questions."""
    return changed.image_id if changed.sample_id is None else str(changed.sample_id)


def _place(changed: Changed) -> str | None:
    return None if changed.box_xyxy_px is None else ", ".join(f"{number:g}" for number in changed.box_xyxy_px)
