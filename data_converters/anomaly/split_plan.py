"""Which frame goes to which part: frames of one video, and those that look the same, stay together; then mixes of the stages."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.errors import GroundswiftError
from groundswift.row_view import RowView, image_source
from groundswift.worker_pool import WorkerPool

from ..issues import Issue, IssueLog
from ..rows.line_index import JsonRow, LineIndex, Progress, copied_lines, json_rows
from ..rows.media_keys import MediaKeys
from ..rows.mix import permuted
from ..rows.split import joined
from ..rows.split_plan import Part
from .near_duplicates import hashes_of, near_pairs

STAGES = (1, 2, 3)


@dataclass
class Rows:
    """What the first pass keeps. Of each row its file, place in the file, stage and frame; of each frame its path and whether it shows an
    anomaly. `references`: images besides the frame's own."""

    indexes: list[LineIndex] = field(default_factory=list)
    files: array = field(default_factory=lambda: array("I"))
    places: array = field(default_factory=lambda: array("q"))
    stages: array = field(default_factory=lambda: array("B"))
    frames: array = field(default_factory=lambda: array("I"))
    numbers: dict[str, int] = field(default_factory=dict)
    anomalous: set[int] = field(default_factory=set)
    references: set[str] = field(default_factory=set)

    def add(self, file: int, row: JsonRow, place: MediaKeys, log: IssueLog) -> None:
        """Keep one row, or log why not."""
        where, view = f"{self.indexes[file].path}:{row.number}", RowView.of(row.row)
        stage, source = row.row.get("stage"), row.row.get("source_image")
        images = [place.place(found) for image in view.images if (found := image_source(image))]
        if stage not in STAGES or isinstance(stage, bool):
            return log.add(Issue("stage-unknown", where, f"stage {stage!r:.100}", "1, 2 or 3, as `anomaly` writes it"))
        if not isinstance(source, str) and len(images) != 1:
            return log.add(Issue("image-not-path", where, f"{len(images)} images and no source_image", "the frame of the row"))
        frame = place.place(source) if isinstance(source, str) else images[0]
        self.references.update(images[1:])
        number = self.numbers.setdefault(frame, len(self.numbers))
        if view.boxes:
            self.anomalous.add(number)
        self.files.append(file)
        self.places.append(len(self.indexes[file]))
        self.stages.append(stage)
        self.frames.append(number)
        self.indexes[file].add(row)


def read_rows(paths: Sequence[str], log: IssueLog, progress: Progress) -> Rows:
    """The first pass. Raises GroundswiftError for a file that is missing, empty, or with problems."""
    rows, place = Rows(), MediaKeys(False)
    for file, path in enumerate(paths):
        rows.indexes.append(LineIndex.of(path))
        for row in json_rows(rows.indexes[file], log, progress):
            rows.add(file, row, place, log)
        rows.indexes[file].settle(log)
    return rows


def video_of(pattern: str | None, log: IssueLog) -> Callable[[str], str | None]:
    """From the path of a frame to its video: the folder, or what the first group of a regular expression finds (a problem is logged where
    it finds nothing). Raises GroundswiftError for an expression that cannot be used."""
    if pattern is None:
        return os.path.dirname
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise GroundswiftError(f"--video {pattern!r}: {error}; expected a regular expression") from None

    def found(path: str) -> str | None:
        match = search(path)
        if match is None:
            log.add(Issue("video-unknown", path, f"--video {pattern!r} does not match", "an expression that finds the video of each frame"))
            return None
        return match[1] if match.re.groups else match[0]

    return found


def groups_of(videos: Sequence[object], hashes: Sequence[bytes | None], near_bits: int | None) -> NDArray[np.int64]:
    """(frames,) the group of each frame, numbered by first appearance: those of one video (None: it has none) or near-duplicates."""
    first: dict[object, int] = {}
    together = [[first.setdefault(key, number), number] for number, key in enumerate(videos) if key is not None]
    seen = [number for number, each in enumerate(hashes) if each is not None]
    if near_bits is not None:
        pairs = near_pairs([hashes[number] for number in seen], near_bits)
        together += [[seen[one], seen[other]] for one, other in pairs]
    root = joined(len(videos), together)
    _, first, number = np.unique(root, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[number]


def parts_of_groups(group: NDArray[np.int64], anomalous: NDArray[np.bool_], sizes: Sequence[Fraction], seed: int) -> NDArray[np.int64]:
    """(groups,) part of each group: the largest groups first, each to the part that lacks most of its share of the frames.

    Groups with and without an anomaly are shared out one after the other, so that both are in each part. Every part gets a group.
    Raises GroundswiftError where there are fewer groups than parts.
    """
    count = int(group.max()) + 1
    if count < len(sizes):
        raise GroundswiftError(
            f"{count} groups for {len(sizes)} parts: frames of one video and near-duplicates stay together; expected more videos, "
            "--group image, or a lower --near-bits"
        )
    frames, shown = np.bincount(group), np.bincount(group, weights=anomalous) > 0
    turn = np.argsort(permuted(count, seed))
    order = sorted(range(count), key=lambda each: (not shown[each], -frames[each], turn[each]))
    total = [int(frames[shown].sum()), int(frames[~shown].sum())]
    lacking = [[size * share for size in sizes] for share in total]
    part, held = np.empty(count, np.int64), [0] * len(sizes)
    for done, each in enumerate(order):
        empty = [place for place, there in enumerate(held) if not there]
        choice = empty if len(empty) == count - done else range(len(sizes))
        own = lacking[0 if shown[each] else 1]
        part[each] = best = max(choice, key=lambda place: (own[place], sizes[place]))
        own[best] -= int(frames[each])
        held[best] += 1
    return part


class OutputFile(NamedTuple):
    """A file of the split: the rows (N,) of the set, in order."""

    name: str
    part: str
    rows: NDArray[np.int64]


def mixes_of(stages: Sequence[int], asked: Sequence[str]) -> list[tuple[int, ...]]:
    """The stages of each file: each alone, then the mixes, by default 1+2, 1+2+3. Raises GroundswiftError for a mix of other stages."""
    mixes = [tuple(stages[: end + 1]) for end in range(1, len(stages))]
    if asked:
        mixes = []
        for text in asked:
            if not re.fullmatch(r"[123](\+[123])*", text) or not set(found := tuple(map(int, text.split("+")))) <= set(stages):
                raise GroundswiftError(f"--mix {text}; expected stages of the files, such as {'+'.join(map(str, stages))}")
            mixes.append(tuple(sorted(set(found))))
    return list(dict.fromkeys([*((stage,) for stage in stages), *mixes]))


def files_of(
    rows: Rows, part_of_row: NDArray[np.int64], parts: Sequence[Part], mixes: Sequence[tuple[int, ...]], replay: Fraction, seed: int
) -> Iterator[OutputFile]:
    """The files of all parts, shuffled; in a mix the last stage is whole, and of each earlier one a share `replay`."""
    stages = np.frombuffer(rows.stages, np.uint8)
    for number, part in enumerate(parts):
        for mix in mixes:
            chosen = []
            for stage in mix:
                found = np.flatnonzero((part_of_row == number) & (stages == stage))
                kept = len(found) if stage == mix[-1] else round(len(found) * replay)
                chosen.append(found[np.sort(permuted(len(found), seed, stage)[:kept])])
            together = np.concatenate(chosen)
            yield OutputFile(f"{part.name}.{'+'.join(map(str, mix))}.jsonl", part.name, together[permuted(len(together), seed, 0)])


class PartCounts(msgspec.Struct):
    """What a part holds: `files` -> rows."""

    name: str
    groups: int
    frames: int
    frames_with_anomaly: int
    files: dict[str, int]


class SplitReport(msgspec.Struct):
    """The result of a split; `near_duplicates`: frames that look like an earlier one. `counts`: what was
    skipped, by id."""

    rows: int
    frames: int
    groups: int
    largest_group_frames: int
    near_duplicates: int
    seed: int
    parts: list[PartCounts] = []
    counts: dict[str, int] = {}
    out: str | None = None


class SplitPlan(NamedTuple):
    """A split before it is written."""

    rows: Rows
    files: list[OutputFile]
    part_of_frame: dict[str, str]
    report: SplitReport

    def lines(self, progress: Progress = lambda rows: None) -> Iterator[tuple[int, bytes]]:
        """(number of the file, line) of every row of every file, then the list of frames."""
        files, places = np.frombuffer(self.rows.files, np.uint32), np.frombuffer(self.rows.places, np.int64)
        for number, file in enumerate(self.files):
            for line in copied_lines(self.rows.indexes, files[file.rows], places[file.rows], progress):
                yield number, line
        for frame, part in self.part_of_frame.items():
            yield len(self.files), msgspec.json.encode({"frame": frame, "part": part}) + b"\n"


class Asked(NamedTuple):
    """What the command asks for; `near_bits` None: frames are not compared."""

    parts: Sequence[Part]
    mixes: Sequence[str]
    replay: Fraction
    by_video: bool
    video: str | None
    near_bits: int | None
    seed: int


def plan_split(paths: Sequence[str], asked: Asked, log: IssueLog, pool: WorkerPool, progress: Progress = lambda size: None) -> SplitPlan:
    """Read the rows and decide where they go. Raises GroundswiftError for problems and impossible parts."""
    rows = read_rows(paths, log, progress)
    frames = Frames(rows, asked, log, pool)
    log.settle(" ".join(paths), in_sets=False)
    part_of_group = parts_of_groups(frames.group, frames.anomalous, [part.size for part in asked.parts], asked.seed)
    part_of_frame = np.where(frames.usable, part_of_group[frames.group], -1)
    part_of_row = part_of_frame[np.frombuffer(rows.frames, np.uint32)]
    mixes = mixes_of(sorted(set(rows.stages)), asked.mixes)
    files = list(files_of(rows, part_of_row, asked.parts, mixes, asked.replay, asked.seed))
    names = {path: asked.parts[part].name for path, part in zip(frames.paths, part_of_frame, strict=True) if part >= 0}
    return SplitPlan(rows, files, names, reported(rows, frames, part_of_group, files, asked, log))


class Frames:
    """The frames of the rows. `group`: (frames,) which stay together; `anomalous`: with an anomaly; `usable`: that may be in a part;
    `look_alike`: how many look like another one."""

    def __init__(self, rows: Rows, asked: Asked, log: IssueLog, pool: WorkerPool) -> None:
        self.paths, near = list(rows.numbers), asked.near_bits
        video = video_of(asked.video, log)
        videos = [video(path) if asked.by_video else None for path in self.paths]
        hashes = [None] * len(self.paths) if near is None else list(hashes_of(self.paths, pool, log))
        self.group = groups_of(videos, hashes, near)
        self.look_alike = len(self.paths) - len(set(groups_of([None] * len(self.paths), hashes, near).tolist()))
        self.anomalous = np.isin(np.arange(len(self.paths)), list(rows.anomalous))
        is_reference = np.array([path in rows.references for path in self.paths])
        for number in np.flatnonzero(is_reference):
            log.count("frame-is-reference", self.paths[number])
        self.usable = ~is_reference & np.array([near is None or each is not None for each in hashes])


def reported(
    rows: Rows, frames: Frames, part_of_group: NDArray[np.int64], files: Sequence[OutputFile], asked: Asked, log: IssueLog
) -> SplitReport:
    """The counts of a plan."""
    part = np.where(frames.usable, part_of_group[frames.group], -1)
    counts = [
        PartCounts(
            each.name,
            int((part_of_group == number).sum()),
            int((part == number).sum()),
            int(((part == number) & frames.anomalous).sum()),
            {file.name: len(file.rows) for file in files if file.part == each.name},
        )
        for number, each in enumerate(asked.parts)
    ]
    sizes, skipped = np.bincount(frames.group), dict(log.counted.counts.most_common())
    return SplitReport(len(rows.files), len(part), len(sizes), int(sizes.max()), frames.look_alike, asked.seed, counts, skipped)
