"""Classes dropped, renamed or merged before rows are made, for every source of boxes by class."""

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
from groundswift.errors import GroundswiftError, error_at
from groundswift.storage import local_copy

from ..base import AskingOptions
from ..issues import IssueLog
from .annotation_table import CocoColumns, Columns

Coco = TypeVar("Coco", CocoFile, CocoColumns)
DROPPED, RENAMED = "class-dropped", "class-renamed"
MERGED = "box-repeated-merged"
ROOT = "root-class-skipped"


def _repeatable(what: str, metavar: str) -> object:
    return msgspec.Meta(description=f"{what}; may be repeated.", extra={"metavar": metavar})


class ClassOptions(AskingOptions, frozen=True, kw_only=True):
    """The options of every source of boxes by class, besides those of the questions: which classes to use."""

    drop_class: Annotated[tuple[str, ...], _repeatable("Drop a class and its boxes", "NAME")] = ()
    rename_class: Annotated[tuple[str, ...], _repeatable("Rename class A to B", "A=B")] = ()
    merge_class: Annotated[tuple[str, ...], _repeatable("Merge A, or several classes A1,A2, into class B", "A[,A2...]=B")] = ()


class _Plan(NamedTuple):
    """The `categories` that are left, in their order; `id_of`: id of a category -> its id now, None if dropped."""

    categories: list[CocoCategory]
    id_of: dict[int, int | None]


def with_class_edits(coco: Coco, edits: ClassOptions, source: str, log: IssueLog) -> Coco:
    """The file with its classes edited, which is counted. Classes without a box that are the supercategory of others are dropped.

    Raises GroundswiftError for an unknown class, a new name that another class has, and where no class is left.
    """
    plan = planned(coco.categories, edits, source)
    counts = _box_counts(coco)
    used = {now for category_id, now in plan.id_of.items() if counts[category_id]}
    root_names = {each.id: each.name for each in empty_roots(coco.categories, used)}
    roots = [each for each in plan.categories if root_names.get(each.id) == each.name]
    for category in roots:
        log.count(ROOT, category.name)
    categories = [category for category in plan.categories if category not in roots]
    if not categories and coco.categories:
        raise error_at(source, "every class is dropped", "at least one class")
    name_now = {category.id: category.name for category in categories}
    for category in coco.categories:
        now, count = plan.id_of[category.id], counts[category.id]
        if count and (now is None or name_now[now] != category.name):
            log.count(DROPPED if now is None else RENAMED, category.name, count)
    return _moved(coco, categories, plan.id_of, log)


def write_edited(
    source: str, out: str, before: Sequence[CocoCategory], after: Sequence[CocoCategory], edits: ClassOptions, crowds_kept: bool = False
) -> None:
    """Write a COCO file again with the classes `after` the edits, all else unchanged: the ground truth of rows with these classes.

    `crowds_kept`: crowd boxes are ordinary objects.
    """
    id_of, names = planned(before, edits, source).id_of, {category.id: category.name for category in after}
    document = msgspec.json.decode(local_copy(source).read_bytes())
    document["categories"] = [each | {"name": names[each["id"]]} for each in document["categories"] if each["id"] in names]
    moved = ((row, id_of.get(row["category_id"], row["category_id"])) for row in document["annotations"])
    plain = {"iscrowd": 0} if crowds_kept else {}
    document["annotations"] = [row | {"category_id": now} | plain for row, now in moved if now is not None]
    write_whole(out, [msgspec.json.encode(document), b"\n"])


def planned(categories: Sequence[CocoCategory], edits: ClassOptions, source: str) -> _Plan:
    """What the options ask for, checked against the classes of a source."""
    by_name = {category.name: category.id for category in categories}
    renamed = dict(_pairs(edits.rename_class, "--rename-class", by_name, source))
    merged = dict(_pairs(edits.merge_class, "--merge-class", by_name, source))
    for name in edits.drop_class:
        _check_known(name, "--drop-class", by_name, source)
    named = Counter([*set(edits.drop_class), *renamed, *merged])
    if twice := [name for name, count in named.items() if count > 1]:
        raise error_at(source, f"class {twice[0]!r} is dropped, renamed or merged more than once", "one edit per class")
    for old, new in renamed.items():
        if any(renamed.get(name, name) == new for name in by_name if name != old and name not in edits.drop_class):
            raise error_at(source, f"--rename-class {old}={new}: another class has this name", f"--merge-class {old}={new} to join them")
    id_of: dict[int, int | None] = {category.id: category.id for category in categories}
    final = {category.id: renamed.get(category.name, category.name) for category in categories}
    for name in edits.drop_class:
        id_of[by_name[name]] = None
    for old, new in merged.items():
        target = next((number for number, name in final.items() if name == new and id_of[number] == number), by_name[old])
        id_of[by_name[old]], final[target] = target, new
    left = [msgspec.structs.replace(each, name=final[each.id]) for each in categories if id_of[each.id] == each.id]
    return _Plan(left, id_of)


def _pairs(texts: Sequence[str], option: str, by_name: dict[str, int], source: str) -> Iterator[tuple[str, str]]:
    """(class, its new name) for each `A=B`, and for each class of `A1,A2=B`."""
    for text in texts:
        if "=" not in text.strip("="):
            raise GroundswiftError(f"{option} {text!r}: expected A=B")
        signs = [index for index, letter in enumerate(text) if letter == "="]
        sign = next((index for index in signs if text[:index] in by_name), signs[0])  # a name may contain the sign itself
        olds, new = [text[:sign]], text[sign + 1 :].strip()
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
        raise error_at(source, f"{option}: unknown class {name!r}", f"a class such as {', '.join(map(repr, close))}")


def _box_counts(coco: CocoFile | CocoColumns) -> Counter[int]:
    """Category id -> how many annotations it has."""
    if isinstance(coco, CocoColumns):
        ids, counts = np.unique(coco.columns.category_ids, return_counts=True)
        return Counter(dict(zip(ids.tolist(), counts.tolist(), strict=True)))
    return Counter(row.category_id for row in coco.annotations)


def _moved(coco: Coco, categories: list[CocoCategory], id_of: dict[int, int | None], log: IssueLog) -> Coco:
    """The file with its annotations under their new classes, without those of dropped ones; unknown ids stay for the reader to report.

    Equal boxes of one class after a merge are one object.
    """
    changed = {category_id: now for category_id, now in id_of.items() if now != category_id}
    if isinstance(coco, CocoColumns):
        return coco._replace(categories=categories, columns=_moved_columns(coco.columns, changed, log) if changed else coco.columns)
    rows = [row for row in coco.annotations if changed.get(row.category_id, 0) is not None]
    for row in rows:
        row.category_id = changed.get(row.category_id, row.category_id)
    return CocoFile(coco.images, list(_once(rows, log)) if any(now is not None for now in changed.values()) else rows, categories)


def _moved_columns(columns: Columns, changed: dict[int, int | None], log: IssueLog) -> Columns:
    """What `_moved` does, for annotations as columns."""
    now, kept = columns.category_ids.copy(), np.ones(len(columns.ids), bool)
    for category_id, new in changed.items():
        here = columns.category_ids == category_id
        if new is None:
            kept[here] = False
        else:
            now[here] = new
    if any(new is not None for new in changed.values()):
        groups = columns.image_ids, now, columns.crowds.astype(np.int64), kept.astype(np.int64)
        repeats = kept & exact_repeats(groups, columns.boxes_xywh_px)
        for index in np.flatnonzero(repeats).tolist():
            log.count(MERGED, columns.annotation(index).where())
        kept &= ~repeats
    return columns._replace(category_ids=now).at(kept)


def _once(rows: Iterable[CocoAnnotation], log: IssueLog) -> Iterator[CocoAnnotation]:
    """The annotations without those that repeat an earlier one of their image exactly."""
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        key = (row.image_id, row.category_id, *row.bbox, bool(row.iscrowd))
        if key in seen:
            log.count(MERGED, row.where())
        else:
            seen.add(key)
            yield row
