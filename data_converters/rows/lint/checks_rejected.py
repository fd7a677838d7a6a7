"""Checks of the rejected answer of a preference row (DPO and similar), and of the label of a KTO row.

The rejected row is built as in swift 4.6: `rejected_messages`, or the messages with `rejected_response` instead of what follows the last
question; then each `rejected_X` column. A row with `rejected_response` takes the chosen row's columns where it has none of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundswift.records import BOX, REF
from groundswift.row_view import Finding, RowView, short

from .checks_boxes import Box, check_boxes, readable_boxes
from .checks_images import ImageCheck, frame_sizes
from .checks_labels import check_labels, check_points
from .checks_rows import check_conversation

COLUMNS = ("images", "videos", "objects")


def check_rejected(view: RowView, checks: Sequence[ImageCheck], family: str | None, known: Sequence[Finding]) -> Iterator[Finding]:
    """What is wrong with the rejected row and not with the chosen one (`known`)."""
    row = view.row
    if isinstance(row.get("label"), str) and row.get("rejected_response") is None:
        yield "label-text", f"label is {short(row['label'])}; expected true or false"
    if row.get("rejected_response") is None and row.get("rejected_messages") is None:
        return
    if problem := response_problem(view):
        yield problem
        return
    own_images = row.get("rejected_messages") is not None or row.get("rejected_images") is not None
    rejected = rejected_view(view)
    boxes, unreadable = readable_boxes(rejected, frame_sizes(rejected, () if own_images else checks))
    for rule, what in (*check_turns(rejected, boxes, family), *unreadable):
        if (rule, what) not in known:
            yield rule, f"rejected: {what}"


def response_problem(view: RowView) -> Finding | None:
    """Why swift does not accept a `rejected_response`; None if it does, or there is none."""
    response = view.row.get("rejected_response")
    if response is None:
        return None
    if isinstance(response, list) and all(isinstance(each, dict) and each.get("role") != "user" for each in response):
        contents = [each.get("content") for each in response]
    elif isinstance(response, str):
        contents = [response]
    else:
        return "rejected-shape", f"rejected_response is {short(response)}; expected text, or messages of the assistant"
    if view.messages and contents == [view.messages[-1][1]]:
        rule = "rejected-same" if isinstance(response, str) else "rejected-shape"  # dropped, or refused by the template
        return rule, f"rejected_response {short(response)} is the answer; expected another one"
    return None


def rejected_view(view: RowView) -> RowView:
    """The rejected row. Of borrowed boxes and labels it has those that it names."""
    row, response = view.row, view.row.get("rejected_response")
    own: dict[str, object] = {key: row[f"rejected_{key}"] for key in COLUMNS if row.get(f"rejected_{key}") is not None}
    if response is None:
        return RowView.of(own | {"messages": row["rejected_messages"]})
    last = max((index for index, (role, _) in enumerate(view.messages) if role == "user"), default=-1)
    asked = [{"role": role, "content": content} for role, content in view.messages[: last + 1]]
    answer = [{"role": "assistant", "content": response}] if isinstance(response, str) else response
    borrowed = {"images": view.images, "videos": view.videos, "objects": row.get("objects"), "size_wh": row.get("size_wh")}
    rejected = RowView.of({key: value for key, value in borrowed.items() if value} | own | {"messages": [*asked, *answer]})
    if "objects" not in own:
        text = "".join(rejected.contents)
        rejected.refs = rejected.refs and rejected.refs[: text.count(REF)]
        rejected.boxes = rejected.boxes and rejected.boxes[: text.count(BOX)]
    return rejected


def check_turns(view: RowView, boxes: Sequence[Box], family: str | None) -> Iterator[Finding]:
    """All checks of one conversation and its readable boxes."""
    yield from view.findings
    yield from check_conversation(view)
    yield from check_labels(view.refs or (), family)
    yield from check_points(view, family)
    yield from check_boxes(view, boxes)
