"""A row as swift will understand it: messages under any of the names that swift reads, images as a list, objects by their parts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from reprlib import Repr
from typing import Any

from .errors import GroundswiftError
from .pairing import Pairing, paired
from .placeholders import read_message
from .records import BOX, REF, SWIFT_TAGS

Found = tuple[str, str]  # id of a rule, and what was found with what was expected
TAGS = re.compile("|".join(map(re.escape, SWIFT_TAGS)))
ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "function_call": "tool_call"} | dict.fromkeys(
    ("function_response", "observation", "observations"), "tool_response"
)
KNOWN_ROLES = {"system", "user", "assistant", "tool", "tool_call", "tool_response"}
MESSAGE_KEYS = ("messages", "conversations", "conversation")
QUERY_KEYS = ("query", "prompt", "input", "instruction", "question", "problem")
ANSWER_KEYS = ("response", "answer", "output", "targets", "target", "answer_key", "answers", "solution", "text", "completion", "content")
OBJECT_KEYS = {"ref", "bbox", "bbox_type", "image_id"}
_repr = Repr()
_repr.maxstring, _repr.maxother, _repr.maxlevel, _repr.maxlist, _repr.maxdict, _repr.maxlong = 100, 100, 3, 6, 6, 40


def short(value: object) -> str:
    """A value for a message: its repr on one line, cut where it is long or deep."""
    return _repr.repr(value)


@dataclass
class View:
    """One row. `messages`: (role, content), content None where it is null or no text. `boxes`, `refs`: None where there are none that
    can be read. `found`: what was wrong with the shape of the row, on the way here."""

    row: dict[str, Any]
    messages: list[tuple[str, str | None]] = field(default_factory=list)
    images: list[Any] = field(default_factory=list)
    videos: list[Any] = field(default_factory=list)
    refs: list[str] | None = None
    boxes: list[Any] | None = None
    bbox_type: str = "real"
    image_ids: list[int] | None = None
    has_messages: bool = True
    found: list[Found] = field(default_factory=list)

    @property
    def contents(self) -> list[str]:
        """The texts of the conversation, in order."""
        return [content for _, content in self.messages if content is not None]

    @property
    def answered(self) -> bool:
        """Whether the conversation ends with an answer."""
        return bool(self.messages) and self.messages[-1][0] == "assistant" and self.messages[-1][1] is not None

    def image_of(self, box_index: int) -> int:
        """Index of the image that a box lies in, as swift takes it: what has no image_id lies in the first."""
        ids = self.image_ids or ()
        return ids[box_index] if box_index < len(ids) else 0

    @property
    def turns(self) -> list[tuple[str, str]]:
        """(role, text) of every message; what is no text is empty."""
        return [(role, content or "") for role, content in self.messages]

    @cached_property
    def pairing(self) -> Pairing:
        """Which label belongs to which box, and what is wrong with the placeholders."""
        return paired(self.turns, len(self.refs or ()), len(self.boxes or ()))

    def list_of_boxes(self) -> list[int | None]:
        """For each box the message that lists it; None for one that a sentence mentions, as often as it likes."""
        lists: list[int | None] = []
        for number, (role, text) in enumerate(self.turns):
            position = 0
            for listing in read_message(text, role == "assistant").listings:
                lists += [None] * text.count(BOX, position, listing.start) + [number] * len(listing.ref_of_box)
                position = listing.stop
            lists += [None] * text.count(BOX, position)
        boxes = len(self.boxes or ())
        return lists if len(lists) == boxes else [0] * boxes

    @property
    def lists_labels(self) -> bool:
        """Whether an answer is a list of labels and boxes that no question names: what detection is.

        A question of phrase grounding names them within its sentence; only the name of the prompt tells it from detection.
        """
        asked = any(REF in content for role, content in self.messages if role == "user" and content is not None)
        if asked or str(self.row.get("prompt")).startswith("phrase_grounding."):
            return False
        answers = (text for role, text in self.turns if role == "assistant" and BOX in text)
        return any(listing.refs for text in answers for listing in read_message(text).listings)

    def label_of_boxes(self) -> list[str | None]:
        """The label of each box; None where it has none, or where it is not clear which (`pairing.unsure`)."""
        refs = self.refs or []
        return [None if ref is None else refs[ref] for ref in self.pairing.ref_of_box]

    def classes(self) -> list[str]:
        """The labels of the boxes that have one, else the labels of the row."""
        return [label for label in self.label_of_boxes() if label is not None] or self.refs or []


def view_of(row: dict[str, Any]) -> View:
    """Read a row's parts; never raises."""
    view = View(row)
    _read_images(view)
    _read_videos(view)
    _read_messages(view)
    _read_objects(view)
    return view


def _read_messages(view: View) -> None:
    row = view.row
    key = next((key for key in MESSAGE_KEYS if row.get(key) is not None), None)
    if key is None:
        _read_old_columns(view)
        return
    messages = row[key]
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except (ValueError, RecursionError):
            messages = None
    if not isinstance(messages, list) or not messages:
        view.found.append(("no-messages", f"{key} is {short(row[key])}; expected a list of {{role, content}}"))
        return
    if isinstance(row.get("system"), str):
        view.messages.append(("system", row["system"]))
    for index, message in enumerate(messages):
        _read_message(view, index, message)


def _read_message(view: View, index: int, message: object) -> None:
    where = f"message {index}"
    if not isinstance(message, dict):
        view.found.append(("message-shape", f"{where} is {short(message)}; expected {{role, content}}"))
        return
    if not {"role", "from", "content", "value"} & message.keys():  # the two turns of a round in one object
        pair = [
            next((message[name] for name in names if name in message), None) for names in (("user", "human"), ("assistant", "gpt", "bot"))
        ]
        if all(isinstance(part, str) for part in pair):
            view.messages += [("user", pair[0]), ("assistant", pair[1])]
            return
    role = message.get("role", message.get("from"))
    if not isinstance(role, str):
        view.found.append(("message-shape", f"{where} has role {short(role)}; expected a text"))
        return
    role = ROLES.get(role, role)
    if role not in KNOWN_ROLES:
        view.found.append(("role-unknown", f"{where} has role {short(role)}; expected system, user or assistant"))
    content = message.get("content", message.get("value"))
    if content is None:
        if not message.get("tool_calls"):
            view.found.append(("content-null", f"{where} ({role}) has no content; expected a text"))
    elif isinstance(content, list):
        content = _joined(view, where, content)
    elif not isinstance(content, str):
        if role not in ("tool", "tool_call", "tool_response"):
            view.found.append(("message-shape", f"{where} ({role}) has content {short(content)}; expected a text"))
        content = None
    view.messages.append((role, content))


def _joined(view: View, where: str, parts: list[Any]) -> str | None:
    """The text of a content in parts, as swift joins it; its images become the row's."""
    text = ""
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str):
            view.found.append(("message-shape", f"{where} has a part {short(part)}; expected {{type, text}}"))
            return None
        if kind == "text":
            text += str(part.get("text") or "")
            continue
        value, kind = part.get(kind), kind.removesuffix("_url")
        text += f"<{kind}>"
        if kind == "image" and value:
            view.images.append(value.get("url") if isinstance(value, dict) else value)
        elif kind == "video" and value:
            view.videos.append(value.get("url") if isinstance(value, dict) else value)
    return text


def _read_old_columns(view: View) -> None:
    """`query` and `response` (swift 2.x), under any of the names that swift reads."""
    row = view.row
    query_key = next((key for key in QUERY_KEYS if isinstance(row.get(key), str)), None)
    answer_key = next((key for key in ANSWER_KEYS if isinstance(row.get(key), str | list)), None)
    if query_key is None and answer_key is None:
        view.found.append(("no-messages", f"the row has {short(sorted(map(str, row)))}; expected messages"))
        return
    view.has_messages = False
    named = " and ".join(key for key in (query_key, answer_key) if key)
    view.found.append(("old-columns", f"{named} in place of messages; expected messages: [{{role: user, ...}}, {{role: assistant, ...}}]"))
    if isinstance(row.get("system"), str):
        view.messages.append(("system", row["system"]))
    history = row.get("history")
    for turn in history if isinstance(history, list) else ():
        if isinstance(turn, list) and len(turn) == 2:
            view.messages += [(role, text) for role, text in zip(("user", "assistant"), turn, strict=True) if isinstance(text, str)]
    if query_key:
        view.messages.append(("user", row[query_key]))
    answer = row[answer_key] if answer_key else None
    answer = answer[0] if isinstance(answer, list) and answer else answer
    if isinstance(answer, str):
        view.messages.append(("assistant", answer))


def _read_images(view: View) -> None:
    images = view.row.get("images", view.row.get("image"))
    if images is None:
        return
    if isinstance(images, str | dict):
        images = [images]
    if not isinstance(images, list):
        view.found.append(("image-shape", f"images is {short(images)}; expected a list of paths"))
        return
    for index, image in enumerate(images):
        if not image_source(image):
            view.found.append(("image-shape", f"image {index} is {short(image)}; expected a path"))
    view.images = list(images)


def _read_videos(view: View) -> None:
    videos = view.row.get("videos", view.row.get("video"))
    if videos is None:
        return
    if isinstance(videos, str | dict):
        videos = [videos]
    if not isinstance(videos, list):
        view.found.append(("video-shape", f"videos is {short(videos)}; expected a list of paths"))
        return
    for index, video in enumerate(videos):
        if not all(map(image_source, frames_of(video))):
            view.found.append(("video-shape", f"video {index} is {short(video)}; expected a path"))
    view.videos = list(videos)


def frames_of(video: object) -> list[object]:
    """What a video is made of: itself, or the pictures that are its frames."""
    return list(video) if isinstance(video, list) and video else [video]


def image_source(image: object) -> str | None:
    """What is to be opened: the path, address or base64 text of an image; None where there is none."""
    if isinstance(image, dict):
        image = image.get("bytes") or image.get("path")
    return image if isinstance(image, str) and image.strip() else None


def _read_objects(view: View) -> None:
    objects, found = view.row.get("objects"), view.found
    if objects is None:
        view.refs, view.boxes = [], []
        return
    if not isinstance(objects, dict):
        what = "a text" if isinstance(objects, str) else "a list" if isinstance(objects, list) else short(objects)
        found.append(("old-objects", f"objects is {what}; expected {{ref: [...], bbox: [[x1, y1, x2, y2], ...]}}"))
        return
    unknown = sorted(map(str, objects.keys() - OBJECT_KEYS))
    if unknown:
        found.append(("objects-keys", f"objects has {', '.join(map(short, unknown))}; expected ref, bbox, bbox_type, image_id"))
    _read_boxes(view, objects)
    refs = objects.get("ref")
    if refs is None:
        view.refs = []
    elif isinstance(refs, list) and all(isinstance(ref, str) for ref in refs):
        view.refs = refs
    else:
        found.append(("ref-shape", f"ref is {short(refs)}; expected a list of labels"))
    bbox_type = objects.get("bbox_type") or "real"
    view.bbox_type = bbox_type if isinstance(bbox_type, str) else short(bbox_type)
    if bbox_type not in ("real", "norm1"):
        found.append(("bbox-type-unknown", f"bbox_type {short(bbox_type)}; expected real or norm1"))
    _read_image_ids(view, objects.get("image_id"))


def _read_boxes(view: View, objects: dict[str, Any]) -> None:
    boxes = objects.get("bbox")
    if "bbox" not in objects:
        view.found.append(("bbox-missing", f"objects has {short(sorted(map(str, objects)))}; expected bbox too"))
    elif not isinstance(boxes, list):
        view.found.append(("bbox-shape", f"bbox is {short(boxes)}; expected a list of boxes"))
    elif not all(isinstance(box, list) for box in boxes):
        what = "one flat list of numbers" if all(isinstance(box, int | float) for box in boxes) else short(boxes)
        view.found.append(("bbox-shape", f"bbox is {what}; expected a list of [x1, y1, x2, y2]"))
    else:
        view.boxes = boxes


def _read_image_ids(view: View, image_ids: object) -> None:
    boxes, images, found = view.boxes or [], len(view.images), view.found
    if boxes and not images:
        found.append(("objects-without-image", f"{len(boxes)} boxes and no image; expected the image that they lie in"))
    if image_ids is None or image_ids == []:
        if boxes and images > 1:
            found.append(("image-id-missing", f"{images} images and no image_id; expected the index of its image for each box"))
        return
    if not isinstance(image_ids, list) or not all(type(value) is int for value in image_ids):
        found.append(("image-id-range", f"image_id is {short(image_ids)}; expected a list of whole numbers"))
        return
    wrong = [value for value in image_ids[: len(boxes)] if not 0 <= value < images]
    if wrong:
        found.append(("image-id-range", f"image_id {wrong[0]} with {images} images; expected 0 to {images - 1}"))
        return
    if len(image_ids) < len(boxes) and images > 1:
        found.append(("image-id-short", f"{len(image_ids)} image_id for {len(boxes)} boxes; expected one a box"))
    view.image_ids = image_ids


def bare_row(view: View) -> dict[str, Any]:
    """The row as swift's template takes it: messages, images, videos, objects. Raises GroundswiftError where it has no messages."""
    if not view.messages:
        raise GroundswiftError("no messages")
    row: dict[str, Any] = {"messages": [{"role": role, "content": content} for role, content in view.messages]}
    sources = [image_source(image) for image in view.images]
    if sources:
        row["images"] = sources
    if view.videos:
        row["videos"] = view.videos
    if view.boxes:
        row["objects"] = {key: value for key, value in view.row["objects"].items() if key in OBJECT_KEYS}
    return row
