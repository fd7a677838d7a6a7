"""One row as swift reads it: messages under any name that swift accepts, images and videos as lists, objects by column.

Lint, the converters and the plugin read rows here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from reprlib import Repr
from typing import Any, NamedTuple

from .box_checks import number_problem
from .errors import GroundswiftError
from .pairing import Pairing, paired
from .placeholders import read_message
from .records import BOX, REF

Finding = tuple[str, str]  # id of a lint rule; what was found and what was expected
Turn = tuple[str, str | None]  # role and text; None where the content is null or not text
ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "function_call": "tool_call"} | dict.fromkeys(
    ("function_response", "observation", "observations"), "tool_response"
)
TOOL_ROLES = {"tool", "tool_call", "tool_response"}
KNOWN_ROLES = {"system", "user", "assistant", *TOOL_ROLES}
MESSAGE_KEYS = ("messages", "conversations", "conversation")
MESSAGE_FIELDS = {"role", "from", "content", "value"}
ROUND_FIELDS = (("user", "human"), ("assistant", "gpt", "bot"))  # a question and its answer in one object
QUERY_KEYS = ("query", "prompt", "input", "instruction", "question", "problem")
ANSWER_KEYS = ("response", "answer", "output", "targets", "target", "answer_key", "answers", "solution", "text", "completion", "content")
OBJECT_KEYS = {"ref", "bbox", "bbox_type", "image_id"}
_repr = Repr()
_repr.maxstring, _repr.maxother, _repr.maxlevel, _repr.maxlist, _repr.maxdict, _repr.maxlong = 100, 100, 3, 6, 6, 40


def short(value: object) -> str:
    """A value for a message: its repr on one line, shortened where it is long or deep."""
    return _repr.repr(value)


@dataclass
class RowView:
    """One row. `refs`, `boxes`: None where the column cannot be read. `findings`: what is wrong with the shape of the row."""

    row: dict[str, Any]
    messages: list[Turn] = field(default_factory=list)
    images: list[Any] = field(default_factory=list)
    videos: list[Any] = field(default_factory=list)
    refs: list[str] | None = None
    boxes: list[Any] | None = None
    bbox_type: str = "real"
    image_ids: list[int] | None = None
    findings: list[Finding] = field(default_factory=list)

    @classmethod
    def of(cls, row: dict[str, Any]) -> RowView:
        """Read a row. Never raises."""
        findings: list[Finding] = []
        images, videos = _media(row, "image", findings), _media(row, "video", findings)
        messages = _messages(row, images, videos, findings)
        return cls(row, messages, images, videos, *read_objects(row.get("objects"), len(images), findings), findings)

    @property
    def has_messages(self) -> bool:
        """False for a row of swift 2.x, which has query and response instead."""
        return all(rule != "old-columns" for rule, _ in self.findings)

    @property
    def contents(self) -> list[str]:
        """The texts of the conversation, in order."""
        return [content for _, content in self.messages if content is not None]

    @property
    def answered(self) -> bool:
        """Whether the conversation ends with an answer."""
        return bool(self.messages) and self.messages[-1][0] == "assistant" and self.messages[-1][1] is not None

    def image_of(self, box_index: int) -> int:
        """Index of the image of a box; 0 for a box without image_id, as in swift."""
        ids = self.image_ids or ()
        return ids[box_index] if box_index < len(ids) else 0

    @cached_property
    def turns(self) -> list[tuple[str, str]]:
        """(role, text) of every message; (role, "") for one without text."""
        return [(role, content or "") for role, content in self.messages]

    @cached_property
    def pairing(self) -> Pairing:
        """Which label belongs to which box, and what is wrong with the placeholders."""
        return paired(self.turns, len(self.refs or ()), len(self.boxes or ()))

    @cached_property
    def list_of_box(self) -> list[int | None]:
        """For each box the index of the message that lists it; None for a box in a sentence, which may repeat it."""
        lists: list[int | None] = []
        for number, (role, text) in enumerate(self.turns):
            for before, listing in read_message(text, role == "assistant").parts(text):
                lists += [None] * before.count(BOX) + [number] * len(listing.ref_of_box if listing else ())
        boxes = len(self.boxes or ())
        return lists if len(lists) == boxes else [0] * boxes

    @cached_property
    def label_of_box(self) -> list[str | None]:
        """The label of each box; None where it has none or its label is ambiguous (`pairing.unsure`)."""
        refs = self.refs or []
        return [None if ref is None else refs[ref] for ref in self.pairing.ref_of_box]

    @property
    def is_detection(self) -> bool:
        """Whether an answer lists labels with boxes and no question names the labels.

        Phrase grounding has the same form, with its labels in the sentence of the question; only the name of its prompt tells them apart.
        """
        named = any(REF in content for role, content in self.messages if role == "user" and content is not None)
        if named or str(self.row.get("prompt")).startswith("phrase_grounding."):
            return False
        answers = (text for role, text in self.turns if role == "assistant" and BOX in text)
        return any(listing.refs for text in answers for listing in read_message(text).listings)

    def classes(self) -> list[str]:
        """The labels of the boxes; where no box has one, all labels of the row."""
        return [label for label in self.label_of_box if label is not None] or self.refs or []


def template_row(view: RowView) -> dict[str, Any]:
    """The row as swift's template takes it: messages, images, videos, objects. Raises GroundswiftError for a row without messages."""
    if not view.messages:
        raise GroundswiftError("no messages")
    row: dict[str, Any] = {"messages": [{"role": role, "content": content} for role, content in view.messages]}
    if view.images:
        row["images"] = [image_source(image) for image in view.images]
    if view.videos:
        row["videos"] = view.videos
    if view.boxes:
        row["objects"] = {key: value for key, value in view.row["objects"].items() if key in OBJECT_KEYS}
    return row


def image_source(image: object) -> Any:
    """What to open for an image of a row: a path, URL, base64 text or bytes; None where there is none."""
    if isinstance(image, dict):
        image = image.get("bytes") or image.get("path")
    return image if (isinstance(image, str) and image.strip()) or (isinstance(image, bytes) and image) else None


def frames_of(video: object) -> list[object]:
    """The parts of a video of a row: the images that are its frames, else the video itself."""
    return list(video) if isinstance(video, list) and video else [video]


def _media(row: dict[str, Any], kind: str, findings: list[Finding]) -> list[Any]:
    """The images or videos of a row (`kind` image or video) as a list."""
    values = row.get(f"{kind}s", row.get(kind))
    if values is None:
        return []
    if isinstance(values, str | dict):
        values = [values]
    if not isinstance(values, list):
        findings.append((f"{kind}-shape", f"{kind}s is {short(values)}; expected a list of paths"))
        return []
    for index, value in enumerate(values):
        if not all(map(image_source, frames_of(value) if kind == "video" else (value,))):
            findings.append((f"{kind}-shape", f"{kind} {index} is {short(value)}; expected a path"))
    return list(values)


def _messages(row: dict[str, Any], images: list[Any], videos: list[Any], findings: list[Finding]) -> list[Turn]:
    """The conversation. Images and videos within contents are appended to `images` and `videos`, as in swift."""
    key = next((key for key in MESSAGE_KEYS if row.get(key) is not None), None)
    if key is None:
        return _old_columns(row, findings)
    messages = _decoded(row[key])
    if not isinstance(messages, list) or not messages:
        findings.append(("no-messages", f"{key} is {short(row[key])}; expected a list of {{role, content}}"))
        return []
    turns = _system(row)
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            findings.append(("message-shape", f"message {index} is {short(message)}; expected {{role, content}}"))
        else:
            turns += _turns(message, index, images, videos, findings)
    return turns


def _decoded(messages: object) -> object:
    """Messages may be JSON text."""
    if not isinstance(messages, str):
        return messages
    try:
        return json.loads(messages)
    except (ValueError, RecursionError):
        return None


def _system(row: dict[str, Any]) -> list[Turn]:
    return [("system", row["system"])] if isinstance(row.get("system"), str) else []


def _turns(message: dict[str, Any], index: int, images: list[Any], videos: list[Any], findings: list[Finding]) -> Iterable[Turn]:
    if not MESSAGE_FIELDS & message.keys():
        question, answer = (next((message[name] for name in names if name in message), None) for names in ROUND_FIELDS)
        if isinstance(question, str) and isinstance(answer, str):
            return ("user", question), ("assistant", answer)
    role = message.get("role", message.get("from"))
    if not isinstance(role, str):
        findings.append(("message-shape", f"message {index} has role {short(role)}; expected text"))
        return ()
    role = ROLES.get(role, role)
    if role not in KNOWN_ROLES:
        findings.append(("role-unknown", f"message {index} has role {short(role)}; expected system, user or assistant"))
    content = message.get("content", message.get("value"))
    if isinstance(content, str):
        return ((role, content),)
    if isinstance(content, list):
        return ((role, _joined(content, index, images, videos, findings)),)
    if content is None and not message.get("tool_calls"):
        findings.append(("content-null", f"message {index} ({role}) has no content; expected text"))
    elif content is not None and role not in TOOL_ROLES:
        findings.append(("message-shape", f"message {index} ({role}) has content {short(content)}; expected text"))
    return ((role, None),)


def _joined(parts: list[Any], index: int, images: list[Any], videos: list[Any], findings: list[Finding]) -> str | None:
    """The text of a content in parts, joined as in swift; its images and videos become those of the row."""
    text = ""
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str):
            findings.append(("message-shape", f"message {index} has a part {short(part)}; expected {{type, text}}"))
            return None
        if kind == "text":
            text += str(part.get("text") or "")
            continue
        value, kind = part.get(kind), kind.removesuffix("_url")
        text += f"<{kind}>"
        if value and kind in ("image", "video"):
            (images if kind == "image" else videos).append(value.get("url") if isinstance(value, dict) else value)
    return text


def _old_columns(row: dict[str, Any], findings: list[Finding]) -> list[Turn]:
    """`query` and `response` (swift 2.x), under any name that swift accepts."""
    query_key = next((key for key in QUERY_KEYS if isinstance(row.get(key), str)), None)
    answer_key = next((key for key in ANSWER_KEYS if isinstance(row.get(key), str | list)), None)
    if query_key is None and answer_key is None:
        findings.append(("no-messages", f"the row has {short(sorted(map(str, row)))}; expected messages"))
        return []
    columns = " and ".join(filter(None, (query_key, answer_key)))
    findings.append(("old-columns", f"{columns} instead of messages; expected messages: [{{role: user, ...}}, {{role: assistant, ...}}]"))
    history, answer = row.get("history"), row[answer_key] if answer_key else None
    rounds = [each for each in (history if isinstance(history, list) else ()) if isinstance(each, list) and len(each) == 2]
    rounds.append([row[query_key] if query_key else None, answer[0] if isinstance(answer, list) and answer else answer])
    turns = ((role, text) for each in rounds for role, text in zip(("user", "assistant"), each, strict=True))
    return _system(row) + [(role, text) for role, text in turns if isinstance(text, str)]


class Columns(NamedTuple):
    """The columns of `objects`. `refs`, `boxes`: None where they cannot be read; `image_ids`: None where there are none."""

    refs: list[str] | None = None
    boxes: list[Any] | None = None
    bbox_type: str = "real"
    image_ids: list[int] | None = None


def read_objects(objects: object, images: int, findings: list[Finding]) -> Columns:
    """The `objects` of a row with so many images; what is wrong with them is appended to `findings`. The boxes' numbers are not checked."""
    if objects is None:
        return Columns([], [])
    if not isinstance(objects, dict):
        what = "text" if isinstance(objects, str) else "a list" if isinstance(objects, list) else short(objects)
        findings.append(("old-objects", f"objects is {what}; expected {{ref: [...], bbox: [[x1, y1, x2, y2], ...]}}"))
        return Columns()
    if unknown := sorted(map(str, objects.keys() - OBJECT_KEYS)):
        findings.append(("objects-keys", f"objects has {', '.join(map(short, unknown))}; expected ref, bbox, bbox_type, image_id"))
    boxes = _boxes(objects, findings)
    refs = objects.get("ref")
    if refs is None:
        refs = []
    elif not isinstance(refs, list) or not all(isinstance(ref, str) for ref in refs):
        findings.append(("ref-shape", f"ref is {short(refs)}; expected a list of labels"))
        refs = None
    bbox_type = objects.get("bbox_type") or "real"
    if bbox_type not in ("real", "norm1"):
        findings.append(("bbox-type-unknown", f"bbox_type {short(bbox_type)}; expected real or norm1"))
        bbox_type = bbox_type if isinstance(bbox_type, str) else short(bbox_type)
    return Columns(refs, boxes, bbox_type, _image_ids(objects.get("image_id"), len(boxes or ()), images, findings))


def _boxes(objects: dict[str, Any], findings: list[Finding]) -> list[Any] | None:
    boxes = objects.get("bbox")
    if "bbox" not in objects:
        findings.append(("bbox-missing", f"objects has {short(sorted(map(str, objects)))}; expected bbox too"))
    elif not isinstance(boxes, list):
        findings.append(("bbox-shape", f"bbox is {short(boxes)}; expected a list of boxes"))
    elif not all(isinstance(box, list | tuple) for box in boxes):
        what = "one flat list of numbers" if all(isinstance(box, int | float) for box in boxes) else short(boxes)
        findings.append(("bbox-shape", f"bbox is {what}; expected a list of [x1, y1, x2, y2]"))
    else:
        return boxes
    return None


def box_finding(box: Sequence[object]) -> Finding | None:
    """Why a box cannot be read; None if it is 2 or 4 finite numbers."""
    problem = number_problem(box)
    if problem is None:
        return None
    shown = f"{short(box)} has {len(box)} numbers" if problem.id == "box-length" else short(box)
    return problem.id, f"{shown}; expected {problem.expected}"


def _image_ids(image_ids: object, boxes: int, images: int, findings: list[Finding]) -> list[int] | None:
    if boxes and not images:
        findings.append(("objects-without-image", f"{boxes} boxes and no image; expected their image"))
    if image_ids is None or image_ids == []:
        if boxes and images > 1:
            findings.append(("image-id-missing", f"{images} images and no image_id; expected the index of its image for each box"))
        return None
    if not isinstance(image_ids, list) or not all(type(value) is int for value in image_ids):
        findings.append(("image-id-range", f"image_id is {short(image_ids)}; expected a list of integers"))
        return None
    wrong = [value for value in image_ids[:boxes] if not 0 <= value < images]
    if wrong:
        findings.append(("image-id-range", f"image_id {wrong[0]} with {images} images; expected 0 to {images - 1}"))
        return None
    if len(image_ids) < boxes and images > 1:
        findings.append(("image-id-short", f"{len(image_ids)} image_id for {boxes} boxes; expected one per box"))
    return image_ids
