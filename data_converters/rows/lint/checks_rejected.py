"""What is wrong with the rejected answer of a preference row (DPO and its like), and with the label of a KTO row.

The rejected row is made as swift 4.6 makes it: `rejected_messages`, or the messages with `rejected_response` in the place of what follows
the last question; then each `rejected_X` column, and in a row of `rejected_response` the chosen one's where that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundswift.records import BOX, REF
from groundswift.row_view import Finding, RowView, short

from .checks_boxes import check_boxes, readable_boxes
from .checks_images import Look, frame_sizes
from .checks_labels import check_labels, check_points
from .checks_rows import check_conversation

COLUMNS = ("images", "videos", "objects")


def check_rejected(view: RowView, looks: Sequence[Look], family: str | None, known: Sequence[Finding]) -> Iterator[Finding]:
    """What is found in the rejected row and not in the chosen one (`known`), each with `rejected: ` before it."""
    row = view.row
    if isinstance(row.get("label"), str) and row.get("rejected_response") is None:
        yield "label-text", f"label is {short(row['label'])}; expected true or false"
    if row.get("rejected_response") is None and row.get("rejected_messages") is None:
        return
    problem = response_problem(view)
    if problem:
        yield problem
        return
    rejected = rejected_view(view)
    if rejected is None:
        return
    own_images = row.get("rejected_messages") is not None or row.get("rejected_images") is not None
    for rule, what in found_in(rejected, () if own_images else looks, family):
        if (rule, what) not in known:
            yield rule, f"rejected: {what}"


def response_problem(view: RowView) -> Finding | None:
    """Why swift does not take a `rejected_response`; None where it does, or there is none."""
    response = view.row.get("rejected_response")
    if response is None:
        return None
    if isinstance(response, list) and all(isinstance(each, dict) and each.get("role") != "user" for each in response):
        said = [each.get("content") for each in response]
    elif isinstance(response, str):
        said = [response]
    else:
        return "rejected-shape", f"rejected_response is {short(response)}; expected a text, or messages of the assistant"
    if view.messages and said == [view.messages[-1][1]]:
        rule = "rejected-same" if isinstance(response, str) else "rejected-shape"  # dropped, or refused by the template
        return rule, f"rejected_response {short(response)} is the answer; expected another one"
    return None


def rejected_view(view: RowView) -> RowView | None:
    """The rejected row; None where it has no messages that can be read. Boxes that it borrows are those that it names."""
    row, response = view.row, view.row.get("rejected_response")
    made: dict[str, object] = {key: row[f"rejected_{key}"] for key in COLUMNS if row.get(f"rejected_{key}") is not None}
    if response is None:
        return RowView.of(made | {"messages": row["rejected_messages"]})
    last = max((index for index, (role, _) in enumerate(view.messages) if role == "user"), default=-1)
    asked = [{"role": role, "content": content} for role, content in view.messages[: last + 1]]
    answer = [{"role": "assistant", "content": response}] if isinstance(response, str) else response
    borrowed = {"images": view.images, "videos": view.videos, "objects": row.get("objects"), "size_wh": row.get("size_wh")}
    given = {key: value for key, value in borrowed.items() if value} | made
    rejected = RowView.of(given | {"messages": [*asked, *answer]})
    if "objects" not in made:
        text = "".join(rejected.contents)
        rejected.refs, rejected.boxes = (
            values and values[: text.count(tag)] for values, tag in ((rejected.refs, REF), (rejected.boxes, BOX))
        )
    return rejected


def found_in(view: RowView, looks: Sequence[Look], family: str | None) -> Iterator[Finding]:
    """All that the lint finds in one conversation and its boxes."""
    yield from view.findings
    yield from check_conversation(view)
    yield from check_labels(view.refs or (), family)
    yield from check_points(view, family)
    boxes, faults = readable_boxes(view, frame_sizes(view, looks))
    yield from faults
    yield from check_boxes(view, boxes, view.label_of_box)
