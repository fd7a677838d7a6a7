"""`lint --fix`: corners in order, boxes clipped to their image, empty and repeated boxes dropped, size_wh set; all else stays as it is.

Nothing is guessed, and no box is converted to another format or space.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from groundswift.placeholders import TAG, read_message
from groundswift.records import BOX, REF, count_tags
from groundswift.row_view import RowView

from .checks_boxes import readable_boxes
from .checks_images import ImageCheck, frame_sizes, stated_size

Size = tuple[int, int]
CHANGES = {  # id -> what was changed or kept
    "box-outside": "box outside its image, dropped",
    "box-empty": "box without area, dropped",
    "box-duplicate": "duplicate box, dropped",
    "box-kept": "box without area, outside or duplicate, kept: its answer holds more than boxes",
    "row-kept": "row kept as it is: no box would remain",
    "box-ordered": "corners put in order",
    "box-clipped": "box clipped to its image",
    "size-set": "size_wh set",
    "size-unknown": "size_wh not set: the image is EXIF-rotated",
}


class FixedBox(NamedTuple):
    """A box and what was done to it, as ids of CHANGES; `drop`: why it should be dropped."""

    numbers: list[float]
    changes: list[str]
    drop: str | None = None


def fixed_row(view: RowView, checks: Sequence[ImageCheck]) -> tuple[dict[str, Any] | None, list[str]]:
    """(a fixed copy of a row, None if nothing changes; ids of CHANGES). `checks`: one per image, or none."""
    changes: list[str] = []
    row = dict(view.row)
    changed = [_set_size(view, checks, row, changes), _fix_boxes(view, checks, row, changes)]
    return (row if any(changed) else None), changes


def _set_size(view: RowView, checks: Sequence[ImageCheck], row: dict[str, Any], changes: list[str]) -> bool:
    """Set `size_wh` if it is missing. Not for an EXIF-rotated image with boxes: they may have been drawn on either orientation."""
    if row.get("size_wh") is not None or not checks or checks[0].size_wh is None:
        return False
    if checks[0].orientation != 1 and view.boxes:
        changes.append("size-unknown")
        return False
    row["size_wh"] = list(checks[0].size_wh)
    changes.append("size-set")
    return True


def _fix_boxes(view: RowView, checks: Sequence[ImageCheck], row: dict[str, Any], changes: list[str]) -> bool:
    if not view.boxes or view.bbox_type not in ("real", "norm1"):
        return False
    sizes = frame_sizes(view, checks)
    if checks and stated_size(view) not in (None, checks[0].size_wh, checks[0].stored_wh):
        sizes[0] = None  # not the file that was annotated
    boxes, unreadable = readable_boxes(view, sizes)
    if unreadable:
        return False
    fixed, seen = [], set()
    for box, old in zip(boxes, view.boxes, strict=True):
        each = fixed_box(old, (1, 1) if view.bbox_type == "norm1" else box.size_wh)
        listed = view.list_of_box[box.index]
        key = (listed, view.label_of_box[box.index], view.image_of(box.index), tuple(each.numbers))
        if each.drop is None and key in seen and listed is not None:
            each = each._replace(drop="box-duplicate")
        seen.add(key)
        fixed.append(each)
    return _write_boxes(view, row, fixed, changes)


def fixed_box(box: Sequence[float], limit: Size | None) -> FixedBox:
    """A box with its corners in order, clipped to `limit` (width, height; None: unknown). Points are unchanged."""
    if len(box) != 4:
        return FixedBox(list(box), [])
    changes = []
    x1, y1, x2, y2 = box
    if x2 < x1 or y2 < y1:
        x1, y1, x2, y2 = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
        changes.append("box-ordered")
    if x1 == x2 or y1 == y2:
        return FixedBox([x1, y1, x2, y2], changes, "box-empty")
    if limit is not None:
        clipped = [max(x1, 0), max(y1, 0), min(x2, limit[0]), min(y2, limit[1])]
        if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
            return FixedBox(list(box), [], "box-outside")
        if clipped != [x1, y1, x2, y2]:
            return FixedBox(clipped, [*changes, "box-clipped"])
    return FixedBox([x1, y1, x2, y2], changes)


def _write_boxes(view: RowView, row: dict[str, Any], fixed: list[FixedBox], changes: list[str]) -> bool:
    """Put the fixed boxes into the row; drop boxes with their placeholders where that is safe. Returns whether anything changed."""
    objects = dict(view.row["objects"])
    drop = {index: box.drop for index, box in enumerate(fixed) if box.drop}
    if drop and len(drop) == len(fixed):
        changes.append("row-kept")
        return False
    if drop:
        refs = _drop_placeholders(view, row, drop)
        if refs is None:
            changes += ["box-kept"] * len(drop)
            drop = {}
        else:
            if refs or "ref" in objects:
                objects["ref"] = refs
            if isinstance(objects.get("image_id"), list):
                objects["image_id"] = [value for index, value in enumerate(objects["image_id"]) if index not in drop]
    kept = [box for index, box in enumerate(fixed) if index not in drop]
    changes += drop.values()
    changes += [change for box in kept for change in box.changes]
    objects["bbox"] = [box.numbers for box in kept]
    row["objects"] = objects
    return bool(drop) or any(box.changes for box in fixed)


def _drop_placeholders(view: RowView, row: dict[str, Any], drop: Collection[int]) -> list[str] | None:
    """Remove the placeholders of some boxes from the answer that holds them all. Returns the remaining labels.

    None without such an answer: then a box cannot be dropped without changing what is said.
    """
    answer_index = _answer_of_boxes_alone(view)
    if answer_index is None:
        return None
    messages = view.row["messages"]
    texts = [row["system"]] if isinstance(row.get("system"), str) else []
    texts += [message["content"] for message in messages[:answer_index]]
    ref, box = count_tags(texts).refs - 1, -1
    unused, written, pending = set(), [], False
    for tag in TAG.findall(messages[answer_index]["content"]):
        if tag == REF:
            if pending:
                unused.add(ref)
            ref, pending = ref + 1, True
            continue
        box += 1
        if box in drop:
            continue
        written += [REF, BOX] if pending else [BOX]
        pending = False
    if pending:
        unused.add(ref)
    row["messages"] = [
        {**message, "content": "".join(written)} if index == answer_index else message for index, message in enumerate(messages)
    ]
    return [label for index, label in enumerate(view.refs or ()) if index not in unused]


def _answer_of_boxes_alone(view: RowView) -> int | None:
    """Index of the one message that holds all boxes, an answer of nothing but labels and boxes; None if there is none."""
    messages = view.row.get("messages")
    if not isinstance(messages, list) or view.refs is None or count_tags(view.contents).refs != len(view.refs):
        return None
    if not all(isinstance(message, dict) and isinstance(message.get("content"), str) for message in messages):
        return None
    holding = [index for index, message in enumerate(messages) if BOX in message["content"]]
    if len(holding) != 1 or messages[holding[0]].get("role") != "assistant":
        return None
    answer = messages[holding[0]]["content"]
    alone = [listing.plain for listing in read_message(answer).listings] == [True] and not TAG.sub("", answer).strip()
    return holding[0] if alone and count_tags([answer]).boxes == len(view.boxes or ()) else None
