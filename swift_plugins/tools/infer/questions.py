"""What is to be answered: the rows of a file without their answers, or one question for each image of a folder."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from groundswift.data_converters.prompts import asking, check_names, written_name
from groundswift.errors import GroundswiftError, ImageMissing, error_at
from groundswift.images import read_size_wh
from groundswift.records import BOX, REF, read_jsonl
from groundswift.row_view import RowView, template_row
from groundswift.storage import NotThere, local_copy

PASSED_ON = ("chat_template_kwargs", "tools")  # columns that change what a model is asked
REPEATED = "row-duplicate"
PIECE = 1 << 20  # bytes


@dataclass(frozen=True)
class Question:
    """A row and what is asked by it. `where`: for messages; `request`: what an engine takes, without the answer, which is `labels`.

    `copy`: how many questions before it are the same but for their images.
    """

    where: str
    row: dict[str, Any]
    request: dict[str, Any]
    labels: str | None
    copy: int = 0

    @property
    def images(self) -> list[Any]:
        """The images: paths, URLs or base64 texts, or swift's objects of path and bytes."""
        return self.request.get("images") or []

    @property
    def text(self) -> str:
        """All that is said before the answer."""
        return "\n".join(message["content"] for message in self.request["messages"])

    @property
    def names(self) -> list[str]:
        """What the images are called: paths, URLs, or the start of what they hold."""
        return [str(source_of(image))[:500] for image in self.images]

    def identity(self) -> bytes:
        """What is asked, without the images, as canonical JSON; of a row without an id the names of the images are part of it."""
        asked = {name: value for name, value in self.request.items() if name not in ("images", "objects")}
        if REF in self.text or BOX in self.text:
            asked["objects"] = self.request.get("objects")
        sample_id = self.row.get("sample_id")
        return json.dumps([sample_id, asked, self.names if sample_id is None else None], sort_keys=True).encode()

    @cached_property
    def key(self) -> str:
        """The name of a question among those of its file."""
        return sha256(self.identity() + b"\n%d" % self.copy).hexdigest()[:32]

    def fingerprint(self, job: str) -> str:
        """The name of its answer: of the job, the id, the question, and the bytes of each image."""
        digest = sha256(job.encode() + self.key.encode())
        for image in self.images:
            digest.update(content_digest(image))
        return digest.hexdigest()[:32]


def content_digest(image: Any) -> bytes:
    """SHA-256 of the bytes of an image; of its name where it cannot be read."""
    source = source_of(image)
    digest = sha256()
    try:
        if isinstance(source, bytes):
            return sha256(source).digest()
        with open(local_copy(source), "rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
    except (OSError, ValueError):  # GroundswiftError among them; a base64 text is too long for a path
        return sha256(str(source).encode("utf-8", "surrogatepass")).digest()
    return digest.digest()


def source_of(image: Any) -> str | bytes:
    """A row's image as a path, URL or base64 text, or as bytes; swift's ROOT_IMAGE_DIR is put before a relative path that is not here."""
    if isinstance(image, dict):
        image = image.get("bytes") or image.get("path")
    if isinstance(image, str) and len(image) < 4096 and not os.path.exists(image):
        below = os.path.join(os.environ.get("ROOT_IMAGE_DIR") or "", image)
        return below if os.path.exists(below) else image
    return image


def read_questions(path: str, limit: int | None = None) -> tuple[list[Question], Counter[str]]:
    """The questions of a file of swift rows, in order, and what was dropped, by id: a second row of one id and question.

    Raises GroundswiftError, with the line, where a line is not a row or asks nothing.
    """
    dropped: Counter[str] = Counter()
    copies: Counter[bytes] = Counter()
    seen: set[tuple[bytes, ...]] = set()
    questions = []
    for number, row in islice(read_jsonl(path, dict), limit):
        if isinstance(row, GroundswiftError):
            raise row
        question = question_of(row, f"{path}:{number}")
        identity = question.identity()
        same = identity, *(name.encode("utf-8", "surrogatepass") for name in question.names)
        if row.get("sample_id") is not None and same in seen:
            dropped[REPEATED] += 1
            continue
        seen.add(same)
        questions.append(replace(question, copy=copies[identity]))
        copies[identity] += 1
    if not questions:
        raise error_at(path, "no rows", "one JSON object per line")
    return questions, dropped


def question_of(row: dict[str, Any], where: str) -> Question:
    """A row split into what is asked and its answer. Raises GroundswiftError where nothing is asked."""
    view = RowView.of(row)
    expected = "messages that end with a question or its answer, as `groundswift convert` writes them"
    if not view.messages or any(content is None for _, content in view.messages):
        found = [text for rule, text in view.findings if rule != "old-columns"]
        raise error_at(where, found[0] if found else "no messages", expected)
    request = template_row(view)
    messages = request["messages"]
    labels = messages.pop()["content"] if messages[-1]["role"] == "assistant" else None
    if not messages:
        raise error_at(where, "no question before the answer", expected)
    request |= {name: row[name] for name in PASSED_ON if row.get(name)}
    return Question(where, row, request, labels)


def image_files(folder: str) -> Iterator[Path]:
    """All files below a folder with the ending of an image, hidden ones aside, in the order of their paths."""
    endings = {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    for path in sorted(Path(folder).rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in endings and not hidden and path.is_file():
            yield path


def ask_of_images(
    folder: str, classes: Iterable[str], prompt: str | None = None, language: str = "en", limit: int | None = None
) -> list[Question]:
    """One question for each image below a folder: as `groundswift convert` asks for classes, or `prompt` ({categories}: the classes).

    The `sample_id` is the path relative to the folder. Raises GroundswiftError where there are no images, or a name cannot be asked for.
    """
    names = list(classes)
    check_names(names)
    questions = asking("detect", language, prompt, 0, False, ["categories"]).filled({"categories": ", ".join(map(written_name, names))})
    made = []
    for path in islice(image_files(folder), limit):
        name = path.relative_to(folder).as_posix()
        chosen = questions.pick(name)
        row: dict[str, Any] = {"messages": [{"role": "user", "content": f"<image>{chosen.text}"}], "images": [os.path.abspath(path)]}
        row |= {"sample_id": name} | ({"size_wh": list(size)} if (size := size_of(row["images"][0])) else {}) | {"prompt": chosen.name}
        made.append(question_of(row, str(path)))
    if not made:
        raise error_at(folder, "no images", "a folder of image files")
    return made


def size_of(image: Any) -> tuple[int, int] | None:
    """(width, height) in px of an image as a viewer shows it; None where it cannot be read."""
    try:
        return read_size_wh(source_of(image))[0]
    except (GroundswiftError, ImageMissing, NotThere, OSError, ValueError):
        return None
