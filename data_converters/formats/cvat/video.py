"""CVAT for video 1.1: tracks, which are shapes by frame -> the labels of each frame that has an image.

CVAT writes a shape for each frame: those set by a person are keyframes, those between are interpolated. Other writers leave the frames
between keyframes out; they are interpolated here as CVAT does: linearly between two boxes, ellipses or cuboids, and after the last shape
of a track it stays as it is. `outside` means that the object is not in the frame.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple
from xml.etree.ElementTree import Element

from groundswift.errors import error_at
from groundswift.urls import is_web, shown

from ...file_io.box_checks import ImageFolder
from ...file_io.label_files import files_below
from ...file_io.remote_folders import SUFFIXES
from ...issues import Issue, IssueLog
from ...tasks.labelled_image import UNREADABLE, Label, LabelledImage, Size, as_xywh, number_of, size_of
from .shapes import NO_BOX, SHAPES, count_marks, read_shape

NUMBER = re.compile(r"([0-9]{1,9})(?:\.[^.]*)?$")  # of a frame, at the end of the name of its image
NAME = "frame_{:06d}.PNG"  # as CVAT names the images of a video
LAST, MOST = 10**9, 10**6  # no frame has such a number; how many frames may be named without a look at their images
NO = ("0", "False", "false")
MARKS = ("frame", "keyframe", "occluded", "outside", "source", "z_order")  # attributes that say nothing of an outline
INTERPOLATED = "box-interpolated"  # the reason to count by


class Frames(NamedTuple):
    """The frames that were annotated: from `start` to `stop`, every `step`."""

    start: int
    stop: int
    step: int

    def __contains__(self, frame: object) -> bool:
        return frame in range(self.start, self.stop + 1, self.step)


class Placed(NamedTuple):
    """A shape of a track in a frame."""

    frame: int
    shape: Element

    def is_outside(self) -> bool:
        return self.shape.get("outside", "0") not in NO


@dataclass
class Video:
    """A video: `images` by frame, those that are there, and the `numbers` of these frames in order."""

    file: str
    frames: Frames
    size_wh: Size
    images: dict[int, LabelledImage]
    numbers: list[int]
    tasks: set[str] = field(default_factory=set)
    without_image: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, file: str, meta: Element | None, folder: ImageFolder, log: IssueLog) -> Video:
        """The video that `meta` describes. Raises GroundswiftError where that has no size, or no frame has an image."""
        meta = Element("meta") if meta is None else meta
        sizes = {size_of(each.findtext("width"), each.findtext("height")) for each in meta.iter("original_size")}
        if len(sizes) != 1 or None in sizes:
            raise error_at(file, "no <original_size> of the video, or several", "its width and height in px")
        frames = frames_of(meta, file)
        names = names_by_frame(file, folder, frames, log)
        size_wh = sizes.pop()
        return cls(file, frames, size_wh, {frame: LabelledImage(name, [], size_wh) for frame, name in names.items()}, sorted(names))

    def add(self, track: Element, met: dict[str, int], log: IssueLog) -> None:
        """Add a track to the frames where its object is; a new class goes to `met`.

        Raises GroundswiftError for a frame that is not a number or was not annotated, and for tracks of several tasks.
        """
        where, label = f"{self.file}: track {track.get('id', '')}", (track.get("label") or "").strip()
        self.tasks.add(track.get("task_id", ""))
        if len(self.tasks) > 1:
            raise error_at(where, "tracks of several tasks, whose frames have the same numbers", "the export of one task")
        placed = sorted(self.placed(track, where), key=lambda each: each.frame)
        rank = met.setdefault(label, len(met)) if label else None
        for here, after in pairwise([*placed, None]):
            if here.is_outside():
                log.count("outside-skipped", f"{where}: frame {here.frame}")
                continue
            if here.frame not in self.images:
                self.without_image.add(here.frame)
            end = after.frame if after else LAST
            for frame in self.numbers[bisect_left(self.numbers, here.frame) : bisect_left(self.numbers, end)]:
                self.add_label(frame, shape_at(frame, here, after), here, rank, f"{where}: frame {frame}: {here.shape.tag}", log)

    def placed(self, track: Element, where: str) -> Iterator[Placed]:
        """The shapes of a track with their frames. Raises GroundswiftError for a frame that cannot be one, and for two shapes in one."""
        seen = set()
        for shape in track:
            if shape.tag == "track":  # of a joint of a skeleton
                continue
            given = number_of(shape.get("frame"))
            if given is None or not given.is_integer() or not 0 <= given < LAST:
                raise error_at(where, f"frame is {shape.get('frame')!r}"[:100], "the number of a frame")
            placed = Placed(int(given), shape)
            if placed.frame in seen:
                raise error_at(where, f"two shapes in frame {placed.frame}", "one shape of a track in a frame")
            if placed.frame not in self.frames and not placed.is_outside():
                first, last, step = self.frames
                raise error_at(where, f"frame {placed.frame}", f"frames {first} to {last}, every {step}, as <meta> says")
            seen.add(placed.frame)
            yield placed

    def add_label(self, frame: int, shape: Element | None, here: Placed, rank: int | None, place: str, log: IssueLog) -> None:
        """Add the object of a track to a frame; None: it is there, but where is unknown."""
        image, found = self.images[frame], "no label"
        if rank is not None and shape is not None:
            found = read_shape(shape)
        if rank is not None and shape is None:
            log.count("shape-not-interpolated", place)
            image.labels.append(Label(place, rank, (0, 0, *self.size_wh), crowd=True))
        elif isinstance(found, str):
            log.add(Issue(UNREADABLE, place, found[:200], "a label, and the numbers of the shape"))
            image.unreadable = True
        else:
            count_marks(shape, place, log)
            if found.changed:
                log.count(found.changed, place)
            if found.box and (frame != here.frame or here.shape.get("keyframe", "1") in NO):
                log.count(INTERPOLATED, place)
            image.labels.append(Label(place, rank, as_xywh(*found.box or (0, 0, *self.size_wh)), found.box is None))

    def labelled(self, log: IssueLog) -> list[LabelledImage]:
        """The frames that have an image; those with a shape and no image are counted."""
        for frame in sorted(self.without_image):
            log.count("frame-without-image", f"{self.file}: frame {frame}")
        return list(self.images.values())


def frames_of(meta: Element, file: str) -> Frames:
    """The frames that were annotated, all where the meta does not say. Raises GroundswiftError where what it says is not a number."""
    texts = {tag: {(each.text or "").strip() for each in meta.iter(tag)} for tag in ("start_frame", "stop_frame", "frame_filter")}
    given = {}
    for tag, default in (("start_frame", "0"), ("stop_frame", str(LAST)), ("frame_filter", "")):
        text = texts[tag].pop() if len(texts[tag]) == 1 else default
        number = (text or default).removeprefix("step=").strip() or "1"
        if not re.fullmatch("[0-9]{1,10}", number) or (tag == "frame_filter" and int(number) == 0):
            raise error_at(file, f"<{tag}> is {text[:100]!r}", "a number" if tag != "frame_filter" else "step=NUMBER")
        given[tag] = int(number)
    return Frames(*given.values())


def names_by_frame(file: str, folder: ImageFolder, frames: Frames, log: IssueLog) -> dict[int, str]:
    """The image of each frame: its name ends with the number of the frame, as frame_000012.PNG does.

    Where the folder cannot be listed, or is not checked and empty, the names are those that CVAT gives. Raises GroundswiftError where
    no frame has an image, or one has two.
    """
    names: dict[int, str] = {}
    for name in () if is_web(folder.folder) else files_below(folder.folder, SUFFIXES):
        number = NUMBER.search(name)
        frame = int(number[1]) if number else None
        if frame not in frames:
            log.count("image-without-frame", name)
        elif names.setdefault(frame, name) != name:
            raise error_at(file, f"{names[frame]} and {name} are both of frame {frame}", "one image for each frame")
    numbers = range(frames.start, frames.stop + 1, frames.step)
    if not names and (is_web(folder.folder) or not folder.check) and len(numbers) <= MOST:
        names = {frame: NAME.format(frame) for frame in numbers}
    if not names:
        expected = f"images of the frames in {shown(folder.folder)}, such as {NAME.format(frames.start)} (--images sets the folder)"
        raise error_at(file, "CVAT for video 1.1: none of its frames has an image", expected)
    return names


def is_same(shape: Element, other: Element) -> bool:
    """Whether two shapes of a track have the same outline."""
    ours, theirs = ({name: value for name, value in each.attrib.items() if name not in MARKS} for each in (shape, other))
    return shape.tag == other.tag and ours == theirs


def shape_at(frame: int, here: Placed, after: Placed | None) -> Element | None:
    """The shape of a track in a frame, from `here` on and before `after`; None where that is between shapes that cannot be interpolated."""
    first = here.shape
    if frame == here.frame or after is None or first.tag in NO_BOX or is_same(first, after.shape):
        return first
    if first.tag == "mask" or first.tag not in SHAPES or first.tag != after.shape.tag:
        return None
    share = (frame - here.frame) / (after.frame - here.frame)
    given = dict(first.attrib)
    for name in (*SHAPES[first.tag], "rotation"):
        before, then = (number_of(each.get(name, "0" if name == "rotation" else None)) for each in (first, after.shape))
        if before is None or then is None:
            return first  # which says what is wrong with its numbers
        change = then - before if name != "rotation" else (then - before + 180) % 360 - 180  # the shorter way round
        given[name] = repr(before + change * share)
    return Element(first.tag, given)
