"""Classes that are dropped, renamed or merged before rows are made, the same way for every source of boxes by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, NamedTuple, TypeVar

import msgspec
import numpy as np

from groundswift.atomic_write import write_whole
from groundswift.boxes import exact_repeats
from groundswift.coco_file import CocoAnnotation, CocoCategory, CocoFile, empty_roots
from groundswift.errors import GroundswiftError, fault
from groundswift.storage import local_copy

from ..base import AskingOptions
from ..issues import IssueLog
from .annotation_table import CocoColumns

Coco = TypeVar("Coco", CocoFile, CocoColumns)
DROPPED, RENAMED = "class-dropped", "class-renamed"
MERGED = "box-repeated-merged"
ROOT = "root-class-skipped"


class ClassOptions(AskingOptions, frozen=True, kw_only=True):
    """What every source of boxes by class has beside the questions: which classes it is to have."""

    drop_class: Annotated[
        tuple[str, ...], msgspec.Meta(description="Ignore a class and its boxes; may be repeated.", extra={"metavar": "NAME"})
    ] = ()
    rename_class: Annotated[
        tuple[str, ...], msgspec.Meta(description="Give class A the name B; may be repeated.", extra={"metavar": "A=B"})
    ] = ()
    merge_class: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Make A, or several classes A1,A2, one class B; may be repeated.", extra={"metavar": "A[,A2...]=B"}),
    ] = ()


class _Plan(NamedTuple):
    """`categories` that are left, in their order; `id_of`: id of a category -> its id now, None where it is dropped."""

    categories: list[CocoCategory]
    id_of: dict[int, int | None]


def with_class_edits(coco: Coco, edits: ClassOptions, source: str, log: IssueLog) -> Coco:
    """The same file with its classes edited; what that changes is counted. Classes without a box that others have as supercategory go.

    Raises GroundswiftError for a class that is not there, a new name that another class has, and where no class is left.
    """
    plan = planned(coco.categories, edits, source)
    counts = _box_counts(coco)
    roots = _empty_roots(plan, coco.categories, counts)
    for category in roots:
        log.count(ROOT, category.name)
    categories = [category for category in plan.categories if category.id not in {root.id for root in roots}]
    if not categories and coco.categories:
        raise fault(source, "every class is dropped", "at least one class")
    names = {category.id: category.name for category in coco.categories}
    for category_id, now in plan.id_of.items():
        if counts[category_id] and now is None:
            log.count(DROPPED, names[category_id], counts[category_id])
        elif counts[category_id] and next(each.name for each in categories if each.id == now) != names[category_id]:
            log.count(RENAMED, names[category_id], counts[category_id])
    return _moved(coco, categories, plan.id_of, log)


def write_edited(source: str, out: str, before: Sequence[CocoCategory], after: Sequence[CocoCategory], edits: ClassOptions) -> None:
    """Write a COCO file again with the classes `after` the edits, all else as it was: what rows of these classes are scored by."""
    id_of, names = planned(before, edits, source).id_of, {category.id: category.name for category in after}
    document = msgspec.json.decode(local_copy(source).read_bytes())
    document["categories"] = [each | {"name": names[each["id"]]} for each in document["categories"] if each["id"] in names]
    moved = ((row, id_of.get(row["category_id"], row["category_id"])) for row in document["annotations"])
    document["annotations"] = [row | {"category_id": now} for row, now in moved if now is not None]
    write_whole(out, [msgspec.json.encode(document), b"\n"])


def planned(categories: Sequence[CocoCategory], edits: ClassOptions, source: str) -> _Plan:
    """What the options ask for, held against the classes of a source."""
    by_name = {category.name: category.id for category in categories}
    renamed = dict(_pairs(edits.rename_class, "--rename-class", by_name, source))
    merged = dict(_pairs(edits.merge_class, "--merge-class", by_name, source))
    for name in edits.drop_class:
        _check_known(name, "--drop-class", by_name, source)
    named = Counter([*set(edits.drop_class), *renamed, *merged])
    if twice := [name for name, count in named.items() if count > 1]:
        raise fault(source, f"class {twice[0]!r} is dropped, renamed or merged more than once", "one of them for each class")
    for old, new in renamed.items():
        taken = [name for name in by_name if name != old and renamed.get(name, name) == new and name not in edits.drop_class]
        if taken:
            raise fault(source, f"--rename-class {old}={new}: another class has this name", f"--merge-class {old}={new} to make them one")
    id_of: dict[int, int | None] = {category.id: category.id for category in categories}
    final = {category.id: renamed.get(category.name, category.name) for category in categories}
    for name in edits.drop_class:
        id_of[by_name[name]] = None
    for old, new in merged.items():
        target = next((id_ for id_, name in final.items() if name == new and id_of[id_] == id_), by_name[old])
        id_of[by_name[old]], final[target] = target, new
    left = [msgspec.structs.replace(each, name=final[each.id]) for each in categories if id_of[each.id] == each.id]
    return _Plan(left, id_of)


def _pairs(texts: Sequence[str], option: str, by_name: dict[str, int], source: str) -> Iterator[tuple[str, str]]:
    """(class, its new name) for each `A=B`; for `A1,A2=B` each of them."""
    for text in texts:
        if "=" not in text.strip("="):
            raise GroundswiftError(f"{option} {text!r}: expected A=B")
        cuts = [place for place, letter in enumerate(text) if letter == "="]
        cut = next((place for place in cuts if text[:place] in by_name), cuts[0])  # a name may hold the sign itself
        olds, new = [text[:cut]], text[cut + 1 :].strip()
        if olds[0] not in by_name and option == "--merge-class":
            olds = [name.strip() for name in olds[0].split(",")]
        if not new:
            raise GroundswiftError(f"{option} {text!r}: expected a name after =")
        for old in olds:
            _check_known(old, option, by_name, source)
            if old != new:
                yield old, new


def _check_known(name: str, option: str, by_name: dict[str, int], source: str) -> None:
    if name not in by_name:
        close = get_close_matches(name, by_name, 3) or list(by_name)[:5]
        raise fault(source, f"{option}: no class {name!r}", f"one such as {', '.join(map(repr, close))}")


def _box_counts(coco: CocoFile | CocoColumns) -> Counter[int]:
    """Category id -> how many annotations it has."""
    if isinstance(coco, CocoColumns):
        ids, counts = np.unique(coco.columns.category_ids, return_counts=True)
        return Counter(dict(zip(ids.tolist(), counts.tolist(), strict=True)))
    return Counter(row.category_id for row in coco.annotations)


def _empty_roots(plan: _Plan, before: Sequence[CocoCategory], counts: Counter[int]) -> list[CocoCategory]:
    """Classes that are left, have no box, and are what other classes name as their supercategory (Roboflow's root is such)."""
    boxes = Counter(dict.fromkeys(plan.id_of.values(), 0))
    for category_id, now in plan.id_of.items():
        boxes[now] += counts[category_id]
    roots = {each.id: each.name for each in empty_roots(before, {number for number, count in boxes.items() if count})}
    return [each for each in plan.categories if roots.get(each.id) == each.name]


def _moved(coco: Coco, categories: list[CocoCategory], id_of: dict[int, int | None], log: IssueLog) -> Coco:
    """The file with its annotations under their new classes, less those of dropped ones; unknown ids stay for the reader to report.

    What a merge makes the same box of the same class is one object.
    """
    if all(now == category_id for category_id, now in id_of.items()):
        replace = CocoColumns._replace if isinstance(coco, CocoColumns) else msgspec.structs.replace
        return replace(coco, categories=categories)
    merged = any(now not in (None, category_id) for category_id, now in id_of.items())
    if not isinstance(coco, CocoColumns):
        rows = [row for row in coco.annotations if id_of.get(row.category_id, 0) is not None]
        for row in rows:
            row.category_id = id_of.get(row.category_id, row.category_id)
        return msgspec.structs.replace(coco, categories=categories, annotations=list(_once(rows, log)) if merged else rows)
    ids = coco.columns.category_ids
    now, kept = ids.copy(), np.ones(len(ids), bool)
    for category_id, new in id_of.items():
        if new is None:
            kept &= ids != category_id
        elif new != category_id:
            now[ids == category_id] = new
    if merged:
        columns = coco.columns
        doubled = kept & exact_repeats(
            (columns.image_ids, now, columns.crowds.astype(np.int64), kept.astype(np.int64)), columns.boxes_xywh_px
        )
        for index in np.flatnonzero(doubled).tolist():
            log.count(MERGED, columns.annotation(index).where())
        kept &= ~doubled
    return coco._replace(categories=categories, columns=coco.columns._replace(category_ids=now).at(kept))


def _once(rows: Iterable[CocoAnnotation], log: IssueLog) -> Iterator[CocoAnnotation]:
    """The annotations, less those that repeat an earlier one of their image exactly."""
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        key = (row.image_id, row.category_id, *row.bbox, bool(row.iscrowd))
        if key in seen:
            log.count(MERGED, row.where())
            continue
        seen.add(key)
        yield row
