"""What rows of conversations share: roles, turns in order, pictures at their placeholders, texts that swift would not misread, ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from groundswift.records import Message, Row, swift_tag_in
from groundswift.storage import file_name

from ..file_io.box_checks import ImageFolder, Seen
from ..file_io.embedded_images import HELD, HeldPicture, held_size_wh, kept_picture
from ..file_io.row_files import Sourced
from ..file_io.row_images import RowPictures
from ..issues import Issue, IssueLog, SkipSample

ORDER = "system at most once and first, then user and assistant in turn, the assistant last"
INLINE = {  # a picture or video named in a text: swift 2.x read both, today's reads the first in a row without pictures
    "image": re.compile("<img>(.+?)</img>"),
    "video": re.compile("<video>(.+?)</video>"),
}
NATIVE = re.compile(r"</?(?:ref|box|quad)>|<\|/?(?:object_ref|box|ref|det|begin_of_box|end_of_box)(?:_start|_end)?\|>|<loc_?\d+>")
NATIVE_KEPT = "box text in a model's own tokens, kept as text"


class ConversationMaker(msgspec.Struct, frozen=True):
    """Makes the one row of an item, or notes why there is none. A format is a subclass with `row`."""

    def __call__(self, item: Sourced, log: IssueLog) -> Iterator[msgspec.Struct]:
        try:
            row = self.row(item.where, item.row, log)
        except SkipSample as stopped:
            if stopped.fault is not None:
                log.add(stopped.fault)
        else:
            yield row

    def row(self, where: str, source: Any, log: IssueLog) -> msgspec.Struct:
        """The row. Raises SkipSample with the fault, or without one where it is noted already."""
        raise NotImplementedError


def message(where: str, index: int, role: str, content: str, roles: dict[str, str]) -> Message:
    """One turn; `roles`: the source's name of a role -> ours. Raises SkipSample for a role that is not among them."""
    if role not in roles:
        raise SkipSample(Issue("role unknown", f"{where}, turn {index}", f"role {role[:100]!r}", ", ".join(roles)))
    return Message(roles[role], content)


def check_order(where: str, messages: Sequence[Message]) -> None:
    """Raises SkipSample where roles are out of order, or an answer is blank."""
    roles = [each.role for each in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or turns != ["user", "assistant"] * (len(turns) // 2):
        shown = ", ".join(roles[:12]) + (", ..." if len(roles) > 12 else "")
        raise SkipSample(Issue("turns out of order", where, f"roles {shown or 'none'}", ORDER))
    for index, each in enumerate(messages):
        if each.role == "assistant" and not each.content.strip():
            raise SkipSample(Issue("answer empty", f"{where}, turn {index}", f"answer {each.content[:100]!r}", "a text"))


def with_tags(where: str, messages: Sequence[Message], tag: str, files: int) -> list[Message]:
    """The conversation with a placeholder for each of its pictures or videos, in the questions: as it is, or put before the first
    question where there is none at all. Raises SkipSample for any other number of them, and for one that is no question's.
    """
    elsewhere = next((each.role for each in messages if each.role != "user" and tag in each.content), None)
    if elsewhere:
        raise SkipSample(Issue(f"{tag} outside a question", where, f"{tag} in a text of {elsewhere}", f"{tag} in texts of the user"))
    tags = sum(each.content.count(tag) for each in messages)
    if tags and tags != files:
        what = f"{tags} {tag} and {files} {tag.strip('<>')}s"
        raise SkipSample(Issue(f"{tag} and {tag.strip('<>')}s differ in number", where, what, "as many of each, or no placeholder at all"))
    if tags or not files:
        return list(messages)
    first = next(index for index, each in enumerate(messages) if each.role == "user")
    placed = Message("user", tag * files + messages[first].content)
    return [*messages[:first], placed, *messages[first + 1 :]]


def check_texts(where: str, messages: Iterable[Message], tags: Sequence[str], pictured: bool, log: IssueLog) -> None:
    """Raises SkipSample where a text holds what swift would replace, besides `tags` (placeholders that stand for something).

    `pictured`: the row has pictures; in one without, swift reads `<img>path</img>` as a picture.
    """
    native = False
    for index, each in enumerate(messages):
        text = each.content
        for tag in tags:
            text = text.replace(tag, "")
        found = swift_tag_in(text) or (not pictured and INLINE["image"].search(text) and "<img>")
        if found:
            what = f"the text of {each.role} holds {found}, which swift would replace"
            raise SkipSample(Issue("text with one of swift's tags", f"{where}, turn {index}", what, "text without it"))
        native = native or NATIVE.search(text) is not None
    if native:
        log.count(NATIVE_KEPT, where)


def looked_at(pictures: ImageFolder | RowPictures, names: Sequence[str], where: str, log: IssueLog) -> list[Seen]:
    """The pictures of a row. Raises SkipSample where one cannot be used; why is noted, for each."""
    found = [pictures.find(name, f"{where}, image {index} ({name[:200]})", log) for index, name in enumerate(names)]
    if None in found:
        raise SkipSample(None)
    return found


def kept(data: bytes | None, saved: str | None, name: str, thing: str, log: IssueLog) -> Seen:
    """A picture that a row holds, written below `saved` under a name. Raises SkipSample where it cannot be used, or `saved` is None."""
    if saved is None:
        raise SkipSample(Issue(HELD, thing, "the row holds its picture, and swift reads files", "--save-pictures DIR"))
    size_wh = held_size_wh(data, thing, log)
    path = size_wh and kept_picture(saved, name, data, thing, log)
    if not path:
        raise SkipSample(None)
    return Seen(path, size_wh)


def own_picture(pictures: RowPictures, saved: str | None, image: str | HeldPicture, name: str, where: str, log: IssueLog) -> Seen:
    """The picture that a row names, or holds: then it is written below `saved` as `name`. Raises SkipSample where it cannot be used."""
    if isinstance(image, str):
        return looked_at(pictures, [image], where, log)[0]
    if image.bytes is None and image.path:
        return looked_at(pictures, [image.path], where, log)[0]
    return kept(image.bytes, saved, name, where, log)


def finished(messages: list[Message], seen: Sequence[Seen], sample_id: int | str, prompt: str | None = None) -> Row:
    """A row of a conversation about pictures, or about none."""
    size_wh = seen[0].size_wh if seen else None
    return Row(messages, [each.path for each in seen], sample_id=sample_id, size_wh=size_wh, prompt=prompt)


def number_of(where: str) -> str:
    """The number that ends the place of a row: `train.jsonl:7` -> 7."""
    return re.search(r"[0-9]+$", where)[0]


def numbered(source: str, where: str) -> str:
    """An id for a row that has none: the name of its file and its number, train/7."""
    return f"{Path(file_name(source)).stem}/{number_of(where)}"


def with_ids(items: Iterable[Sourced | Issue], source: str) -> Iterator[Sourced | Issue]:
    """Rows whose `id` is a text and occurs once: their own; with /2, /3 behind it where it came before; else `numbered`.

    Numbers become text, because a file may hold both, and a column of a stream has one type.

    Must begin at the first row, so that the same row has the same id in every run. It keeps the ids in mind.
    """
    taken: dict[str, int] = {}
    for item in items:
        if not isinstance(item, Issue):
            own = item.row.id
            if own is None or own == "":
                item.row.id = numbered(source, item.where)
            elif (times := taken.get(str(own), 0)) == 0:
                item.row.id = str(own)
                taken[item.row.id] = 1
            else:
                times += 1
                while f"{own}/{times}" in taken:
                    times += 1
                taken[str(own)] = times
                item.row.id = f"{own}/{times}"
                taken[item.row.id] = 1
        yield item
