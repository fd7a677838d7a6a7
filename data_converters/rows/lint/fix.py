"""What can be mended in a row without guessing: corners in order, boxes cut at the border, empty and repeated boxes left out, size_wh.

All else stays as it is. Nothing here turns one format or space into another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from groundswift.placeholders import TAG, read_message
from groundswift.records import BOX, REF, count_tags
from groundswift.row_view import RowView

from .checks_boxes import readable_boxes
from .checks_images import Look, frame_sizes, stated_size

Size = tuple[int, int]
OUTSIDE, EMPTY, AGAIN = "box outside its image, left out", "box without area, left out", "box that came before, left out"
KEPT = "box without area, outside or repeated, kept: its answer is not made of boxes alone"
KEPT_LAST = "row kept as it is: no box would be left"


def fixed_row(view: RowView, looks: Sequence[Look]) -> tuple[dict[str, Any] | None, list[str]]:
    """(a mended copy of a row, None where nothing changes; what was changed or left, one text a change). `looks`: one an image, or none."""
    said: list[str] = []
    row = dict(view.row)
    changed = _with_size(view, looks, row, said)
    changed |= _with_boxes(view, looks, row, said)
    return (row if changed else None), said


def encoded_row(row: dict[str, Any]) -> bytes:
    """One line of JSONL with its newline."""
    return msgspec.json.encode(row) + b"\n"


def _with_size(view: RowView, looks: Sequence[Look], row: dict[str, Any], said: list[str]) -> bool:
    """`size_wh` where there is none and the picture is stored upright: of a turned one it is not known what its boxes were drawn on."""
    if row.get("size_wh") is not None or not looks or looks[0].size_wh is None:
        return False
    if looks[0].orientation != 1 and view.boxes:
        said.append("size_wh not set: the picture is turned by its EXIF orientation")
        return False
    row["size_wh"] = list(looks[0].size_wh)
    said.append("size_wh set")
    return True


def _with_boxes(view: RowView, looks: Sequence[Look], row: dict[str, Any], said: list[str]) -> bool:
    if not view.boxes or view.bbox_type not in ("real", "norm1"):
        return False
    sizes = frame_sizes(view, looks)
    if looks and stated_size(view) not in (None, looks[0].size_wh, looks[0].stored_wh):
        sizes[0] = None  # the file is another than the one that was annotated
    boxes, faults = readable_boxes(view, sizes)
    if faults:
        return False
    labels, lists, drop = view.label_of_box, view.list_of_box, {}
    mended: list[list[float]] = []
    log: list[list[str]] = []
    seen = set()
    for box, old, label in zip(boxes, view.boxes, labels, strict=True):
        limit = (1, 1) if view.bbox_type == "norm1" else box.size_wh
        new, note, reason = mended_box(old, limit)
        key = (lists[box.index], label, view.image_of(box.index), tuple(new))
        if reason is None and key in seen and lists[box.index] is not None:
            reason = AGAIN
        seen.add(key)
        if reason:
            drop[box.index] = reason
        mended.append(new)
        log.append(note)
    return _write_boxes(view, row, mended, log, drop, said)


def mended_box(box: Sequence[float], limit: Size | None) -> tuple[list[float], list[str], str | None]:
    """(the box in order and within `limit` (width, height; None: not known), what was done, why it should be left out)."""
    if len(box) != 4:
        return list(box), [], None
    note = []
    x1, y1, x2, y2 = box
    if x2 < x1 or y2 < y1:
        x1, y1, x2, y2 = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
        note.append("corners put in order")
    if x1 == x2 or y1 == y2:
        return [x1, y1, x2, y2], note, EMPTY
    if limit is not None:
        width, height = limit
        cut = [max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)]
        if cut[0] >= cut[2] or cut[1] >= cut[3]:
            return list(box), [], OUTSIDE
        if cut != [x1, y1, x2, y2]:
            x1, y1, x2, y2 = cut
            note.append("box cut at the border of its image")
    return [x1, y1, x2, y2], note, None


def _write_boxes(
    view: RowView, row: dict[str, Any], mended: list[list[float]], log: list[list[str]], drop: dict[int, str], said: list[str]
) -> bool:
    """Put the mended boxes into the row, and leave out those of `drop` with their placeholders where that is safe."""
    objects = dict(view.row["objects"])
    if drop and len(drop) == len(mended):
        said.append(KEPT_LAST)
        return False
    if drop:
        left = _without(view, row, drop)
        if left is None:
            said += [KEPT] * len(drop)
            drop = {}
        else:
            objects["ref"] = left
            if "ref" not in view.row["objects"] and not left:
                del objects["ref"]
            ids = objects.get("image_id")
            if isinstance(ids, list):
                objects["image_id"] = [value for index, value in enumerate(ids) if index not in drop]
    said += drop.values()
    said += [text for index, note in enumerate(log) if index not in drop for text in note]
    objects["bbox"] = [box for index, box in enumerate(mended) if index not in drop]
    row["objects"] = objects
    return bool(drop) or any(log)


def _without(view: RowView, row: dict[str, Any], drop: dict[int, str]) -> list[str] | None:
    """Take the placeholders of some boxes out of the one answer that holds them all -> the labels that are left; None where there is no
    such answer: then a box cannot be left out without changing what is said."""
    messages = view.row.get("messages")
    if not isinstance(messages, list) or view.refs is None or count_tags(view.contents).refs != len(view.refs):
        return None
    if not all(isinstance(message, dict) and isinstance(message.get("content"), str) for message in messages):
        return None
    holding = [index for index, message in enumerate(messages) if BOX in message["content"]]
    if len(holding) != 1 or messages[holding[0]].get("role") != "assistant":
        return None
    answer = messages[holding[0]]["content"]
    boxes_alone = [listing.plain for listing in read_message(answer).listings] == [True] and not TAG.sub("", answer).strip()
    if not boxes_alone or count_tags([answer]).boxes != len(view.boxes or ()):
        return None
    ref = count_tags(_texts(messages[: holding[0]], row)).refs - 1
    gone, written, pending = set(), [], False
    box = -1
    for tag in TAG.findall(answer):
        if tag == REF:
            if pending:
                gone.add(ref)
            ref, pending = ref + 1, True
            continue
        box += 1
        if box in drop:
            continue
        if pending:
            written.append(REF)
            pending = False
        written.append(BOX)
    if pending:
        gone.add(ref)
    row["messages"] = [
        {**message, "content": "".join(written)} if index == holding[0] else message for index, message in enumerate(messages)
    ]
    return [label for index, label in enumerate(view.refs) if index not in gone]


def _texts(messages: list[Any], row: dict[str, Any]) -> list[str]:
    texts = [row["system"]] if isinstance(row.get("system"), str) else []
    return texts + [message["content"] for message in messages]
