"""What formats of conversations share: roles and turns, images at their placeholders, texts that swift would misread, ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import msgspec

from groundswift.records import Message, Objects, Row, swift_tag_in
from groundswift.urls import file_name
from groundswift.worker_pool import WorkerPool

from ..base import ImageOptions, Reading
from ..file_io.box_checks import FoundImage, ImageFolder
from ..file_io.embedded_images import HELD, EmbeddedImage, embedded_size_wh, folder_to_save, write_image
from ..file_io.row_files import Sourced, read_rows
from ..file_io.row_images import RowImages
from ..issues import Issue, IssueLog, SkipSample, skip

ORDER = "an optional system message, then user and assistant in turn, the assistant last"
INLINE_MEDIA = {  # an image or video named in a text: swift 2.x read both, swift 4 reads the first in a row without images
    "image": re.compile("<img>(.+?)</img>"),
    "video": re.compile("<video>(.+?)</video>"),
}
NATIVE_BOXES = re.compile(r"</?(?:ref|box|quad)>|<\|/?(?:object_ref|box|ref|det|begin_of_box|end_of_box)(?:_start|_end)?\|>|<loc_?\d+>")
NATIVE_KEPT = "native-boxes-kept"
T = TypeVar("T")


class RowMaker(msgspec.Struct, frozen=True):
    """Makes the rows of one item, all or none. A format is a subclass with `row`, or with `rows` where an item has several."""

    def __call__(self, item: Sourced, log: IssueLog) -> Iterator[msgspec.Struct]:
        try:
            made = list(self.rows(item.where, item.row, log))
        except SkipSample as stopped:
            if stopped.issue is not None:
                log.add(stopped.issue)
        else:
            yield from made

    def rows(self, where: str, source: Any, log: IssueLog) -> Iterable[msgspec.Struct]:
        """The rows of an item. Raises SkipSample as `row` does."""
        return [self.row(where, source, log)]

    def row(self, where: str, source: Any, log: IssueLog) -> msgspec.Struct:
        """The one row of an item. Raises SkipSample with the issue, or without one where it is logged already."""
        raise NotImplementedError


class ImageRowMaker(RowMaker, frozen=True, kw_only=True):
    """Makes rows of conversations about images. Images that the rows of `source` hold are saved in the folder `saved`."""

    images: RowImages
    source: str
    saved: str | None = None

    @classmethod
    def of(cls, options: ImageOptions, **more: Any) -> Self:
        """A maker for the images and the folder of some options. Raises GroundswiftError where they cannot be used."""
        saved = folder_to_save(getattr(options, "save_images", None))
        return cls(images=options.image_folder(RowImages), source=options.annotations, saved=saved, **more)


class ConversationOptions(ImageOptions, frozen=True, kw_only=True):
    """Formats of files of rows about images: a subclass has the type of a row, and makes the function that converts one."""

    row_type: ClassVar[type[msgspec.Struct]]
    own_ids: ClassVar[bool] = False  # rows have ids, which `with_unique_ids` makes unique

    def maker(self) -> ImageRowMaker:
        """What makes the row of a row of the source. Raises GroundswiftError where the images cannot be used."""
        raise NotImplementedError

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        rows, total = read_rows(self.annotations, self.row_type)
        return Reading(with_unique_ids(rows, self.annotations) if self.own_ids else rows, self.maker(), total)


def message(where: str, index: int, role: str, content: str, roles: dict[str, str]) -> Message:
    """One turn; `roles`: the source's name of a role -> swift's. Raises SkipSample for any other role."""
    if role not in roles:
        raise skip("role-unknown", f"{where}, turn {index}", f"role {role[:100]!r}", ", ".join(roles))
    return Message(roles[role], content)


def check_order(where: str, messages: Sequence[Message], alone: bool = False) -> None:
    """Raise SkipSample where roles are out of order, or an answer is blank. `alone`: one answer without a question is in order."""
    roles = [each.role for each in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or turns != ["user", "assistant"] * (len(turns) // 2) and not (alone and turns == ["assistant"]):
        shown = ", ".join(roles[:12]) + (", ..." if len(roles) > 12 else "")
        raise skip("roles-order", where, f"roles {shown or 'none'}", ORDER)
    for index, each in enumerate(messages):
        if each.role == "assistant" and not each.content.strip():
            raise skip("answer-empty", f"{where}, turn {index}", f"answer {each.content[:100]!r}", "a text")


def check_questions_only(where: str, messages: Iterable[Message], tag: str, pattern: str | re.Pattern[str] | None = None) -> None:
    """Raise SkipSample where a text of another role than user holds a placeholder: `tag`, or what matches `pattern`."""
    if odd := next((each.role for each in messages if each.role != "user" and re.search(pattern or tag, each.content)), None):
        raise skip("placeholder-outside-question", where, f"{tag} in a text of {odd}", f"{tag} in texts of the user")


def with_placeholders(where: str, messages: Sequence[Message], tag: str, files: int) -> list[Message]:
    """The conversation with one placeholder in its questions for each of its images or videos.

    Where there is none, all are put before the first question. Raises SkipSample for any other number, and for one outside a question.
    """
    check_questions_only(where, messages, tag)
    tags = sum(each.content.count(tag) for each in messages)
    if tags and tags != files:
        what = f"{tags} {tag} and {files} {tag.strip('<>')}s"
        raise skip(f"{tag.strip('<>')}-count", where, what, "as many of each, or no placeholder at all")
    return list(messages) if tags or not files else before_first_question(messages, tag * files)


def before_first_question(messages: Sequence[Message], tags: str) -> list[Message]:
    """The conversation with placeholders put before its first question."""
    first = next(index for index, each in enumerate(messages) if each.role == "user")
    return [*messages[:first], Message("user", tags + messages[first].content), *messages[first + 1 :]]


def check_texts(where: str, messages: Iterable[Message], tags: Sequence[str], has_images: bool, log: IssueLog) -> None:
    """Raise SkipSample where a text holds what swift would replace, other than `tags` (the row's own placeholders, in turns only).

    `has_images`: in a row without images, swift reads `<img>path</img>` as one.
    """
    native = False
    for index, each in enumerate(messages):
        text = each.content
        for tag in tags if each.role != "system" else ():
            text = text.replace(tag, "")
        found = swift_tag_in(text) or (not has_images and INLINE_MEDIA["image"].search(text) and "<img>")
        if found:
            what = f"the text of {each.role} holds {found}, which swift would replace"
            raise skip("text-tag", f"{where}, turn {index}", what, "text without it")
        native = native or NATIVE_BOXES.search(text) is not None
    if native:
        log.count(NATIVE_KEPT, where)


def all_usable(found: list[T | None]) -> list[T]:
    """The same list. Raises SkipSample where one of it cannot be used: it is None, and the issue is logged."""
    if None in found:
        raise SkipSample(None)
    return found


def find_images(images: ImageFolder | RowImages, names: Sequence[str], where: str, log: IssueLog) -> list[FoundImage]:
    """The images of a row by name. Raises SkipSample where one cannot be used; each issue is logged."""
    return all_usable([images.find(name, f"{where}, image {index} ({name[:200]})", log) for index, name in enumerate(names)])


def save_image(
    data: bytes | None, folder: str | None, name: str, thing: str, log: IssueLog, stated_wh: tuple[int, int] | None = None
) -> FoundImage:
    """Write an image that a row holds into `folder` under a name. Raises SkipSample where it cannot be used, or `folder` is None."""
    if folder is None:
        raise skip(HELD, thing, "the row holds its image, and swift reads files", "--save-images DIR")
    (size_wh,) = all_usable([embedded_size_wh(data, thing, log)])
    if stated_wh not in (None, size_wh):
        stated, seen = (f"{width}x{height} px" for width, height in (stated_wh, size_wh))
        raise skip("image-size-differs", thing, f"annotated as {stated}, but the image is {seen}", "one size")
    (path,) = all_usable([write_image(folder, name, data, thing, log)])
    return FoundImage(path, size_wh)


def find_or_save(images: RowImages, folder: str | None, image: str | EmbeddedImage, name: str, where: str, log: IssueLog) -> FoundImage:
    """The image that a row names, or holds: that one is saved in `folder` as `name`. Raises SkipSample where it cannot be used."""
    if isinstance(image, EmbeddedImage) and (image.bytes is not None or not image.path):
        return save_image(image.bytes, folder, name, where, log)
    return find_images(images, [image if isinstance(image, str) else image.path], where, log)[0]


def conversation_row(
    messages: list[Message],
    images: Sequence[FoundImage],
    sample_id: int | str,
    prompt: str | None = None,
    objects: Objects | None = None,
    videos: Sequence[str] = (),
) -> Row:
    """A row of a conversation about images, or about none; its size is that of the first image."""
    size_wh = images[0].size_wh if images else None
    return Row(messages, [each.path for each in images], list(videos), objects, sample_id, size_wh, prompt)


def row_number(where: str) -> str:
    """The number that ends the place of a row: `train.jsonl:7` -> 7."""
    return re.search(r"[0-9]+$", where)[0]


def numbered_id(source: str, where: str) -> str:
    """The id of a row that has none: the name of its file and its number, train/7."""
    return f"{Path(file_name(source)).stem}/{row_number(where)}"


def with_unique_ids(items: Iterable[Sourced | Issue], source: str) -> Iterator[Sourced | Issue]:
    """Rows whose `id` is a text and unique: their own, with /2, /3 appended where it came before; a `numbered_id` where there is none.

    Numbers become text: a file may hold both, and a column of a stream has one type. Must begin at the first row, so that a row has the
    same id in every run. It keeps all ids in memory.
    """
    taken: dict[str, int] = {}
    for item in items:
        if not isinstance(item, Issue):
            own = item.row.id
            if own is None or own == "":
                item.row.id = numbered_id(source, item.where)
            else:
                times = taken.get(str(own), 0) + 1
                while times > 1 and f"{own}/{times}" in taken:
                    times += 1
                taken[str(own)] = times
                item.row.id = f"{own}/{times}" if times > 1 else str(own)
                taken[item.row.id] = 1
        yield item
