"""The part of each row of a set, and what the parts contain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import compress
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.errors import GroundswiftError, error_at

from ..issues import IssueLog
from .line_index import Progress, copied_blocks, has_both_types
from .mix import shares
from .split import Facts, Grouping, facts_of, grouped, labels_of_groups
from .split_gt import GroundTruthParts
from .stratification import at_random, stratified

NAME = re.compile(r"\w[\w.+-]{0,99}")
USUAL = ("train", "val", "test")  # names that trainings and recipes read
NEAR = Fraction(1, 1_000_000)  # by which the sum of fractions may differ from 1


class Part(NamedTuple):
    """A part by its name and size: a count of groups, or a fraction of the groups that the counts leave."""

    name: str
    size: Fraction | int


def parts_of(texts: Sequence[str]) -> list[Part]:
    """`train=0.9`, `val=500` -> parts. Raises GroundswiftError for malformed parts, duplicate names, a usual name with a slip and fractions
    whose sum is not 1."""
    parts = [_part(text) for text in texts]
    names = [part.name.casefold() for part in parts]
    for part in parts:
        if meant := slip_of(part.name):
            raise GroundswiftError(f"--parts {part.name}: did you mean {meant}? Any other name is fine, but this one looks like a slip")
    for part in parts:
        if names.count(part.name.casefold()) > 1:
            raise error_at(f"--parts {part.name}", "duplicate name (some file systems ignore case)", "each part once")
    if len(parts) < 2:
        raise error_at("--parts", f"{len(parts)} part", "at least two, as in train=0.9 val=0.1")
    total = sum(part.size for part in parts if isinstance(part.size, Fraction))
    if total and abs(total - 1) > NEAR:
        raise error_at("--parts", f"the fractions add up to {float(total):g}", "1; whole numbers are counts of groups")
    return parts


def slip_of(name: str) -> str | None:
    """The usual name whose letters this one has in another order, or but for one after the first; None for a name of its own."""
    letters = sorted(name.casefold())
    for usual in USUAL:
        shorter = [sorted(usual[:at] + usual[at + 1 :]) for at in range(1, len(usual))] if len(usual) > 3 and name[0] == usual[0] else []
        if name.casefold() != usual and letters in [sorted(usual), *shorter]:
            return usual
    return None


def _part(text: str) -> Part:
    name, equals, number = text.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise error_at(f"--parts {text!r}", "not a part", "NAME=FRACTION or NAME=COUNT, the name of letters, digits, _ . + and -")
    if re.fullmatch(r"0*[1-9][0-9]{0,11}", number):
        return Part(name, int(number))
    if re.fullmatch(r"[0-9]{0,11}\.[0-9]{1,20}|[0-9]{1,11}\.", number) and 0 < Fraction(f"0{number}0") <= 1:
        return Part(name, Fraction(f"0{number}0"))
    raise error_at(f"--parts {text!r}", f"its size is {number!r}", "a fraction above 0 and up to 1.0, or a count of groups from 1")


def targets_of(parts: Sequence[Part], groups: int) -> list[int]:
    """The number of groups of each part; they add up to all. Raises GroundswiftError if that is impossible, or a part would be empty."""
    counted = sum(part.size for part in parts if isinstance(part.size, int))
    fractions = [part.size for part in parts if isinstance(part.size, Fraction)]
    if len(parts) > groups:
        raise GroundswiftError(f"{groups} groups for {len(parts)} parts; expected at least one per part")
    if counted > groups or (counted < groups and not fractions):
        raise GroundswiftError(
            f"the counts add up to {counted} of {groups} groups; expected all, or a fraction for the rest (as train=1.0)"
        )
    divided = iter(shares(groups - counted, fractions) if fractions else ())
    targets = [part.size if isinstance(part.size, int) else next(divided) for part in parts]
    for part, target in zip(parts, targets, strict=True):
        if not target:
            raise GroundswiftError(f"part {part.name} would be empty: none of {groups} groups; expected at least one")
    return targets


class PartReport(msgspec.Struct):
    """What a part contains. `share`: of the groups. `gt`, with its counts: the COCO file of the part."""

    name: str
    groups: int
    share: float
    rows: int
    images: int
    objects: int
    out: str | None = None
    gt: str | None = None
    gt_images: int | None = None
    gt_annotations: int | None = None


class ClassReport(msgspec.Struct):
    """A class: the groups with it, in all and in each part. `deviation`: the largest difference between a part's share of those and its
    share of all groups. `rare`: too few groups for the smallest part to get one by its share."""

    label: str
    groups: int
    parts: list[int]
    deviation: float
    rare: bool


class SplitReport(msgspec.Struct):
    """The result of a split. `largest_deviation`: over the classes that are not rare, None if there is none. `missing_though_enough`:
    classes that some part lacks although they have at least as many groups as there are parts. `ids_as_text`: the rows have numbers and
    strings as sample_id, and the parts only strings. `counts`: what was skipped, by id."""

    rows: int
    images: int
    groups: int
    largest_group_rows: int
    seed: int = 0
    stratify: str = "label"
    parts: list[PartReport] = []
    classes: list[ClassReport] = []
    largest_deviation: float | None = None
    missing_in_a_part: int = 0
    missing_though_enough: int = 0
    ids_as_text: bool = False
    counts: dict[str, int] = {}
    gt_images_without_row: int | None = None


class SplitPlan(NamedTuple):
    """A split before it is written; `part_of_row` is (rows,). `truth`: the ground truth of the parts, which are further parts."""

    facts: Facts
    part_of_row: NDArray[np.int64]
    report: SplitReport
    truth: GroundTruthParts | None = None

    def lines(self, progress: Progress = lambda rows: None) -> Iterator[tuple[int, bytes]]:
        """The second pass: (part, lines) of all rows, several at a time, each part in the order of the file; then the ground truth of each
        part, whose counts it adds to the report. `progress` counts rows."""
        index, first = self.facts.index, np.arange(len(self.part_of_row))
        if not self.truth and not has_both_types([index]):  # else each line is needed by itself
            index, first = index.joined(self.part_of_row)
        parts_of, rows_of, number = self.part_of_row[first], np.diff(first, append=len(self.part_of_row)), 0
        for lines in copied_blocks([index], np.zeros(len(first), np.uint8), np.arange(len(first)), lambda count: None):
            here = slice(number, number + len(lines))
            parts, number = parts_of[here].tolist(), here.stop
            if self.truth:
                for row, (part, line) in enumerate(zip(parts, lines, strict=True), here.start + 1):
                    self.truth.assign(line, part, f"{index.path}: row {row}")
            for part in sorted(set(parts)):
                yield part, b"".join(compress(lines, map(part.__eq__, parts)))
            progress(int(rows_of[here].sum()))
        if self.truth:
            counts, self.report.gt_images_without_row = self.truth.counts()
            for part, count in enumerate(counts):
                self.report.parts[part].gt_images, self.report.parts[part].gt_annotations = count
                yield from ((len(counts) + part, chunk) for chunk in self.truth.chunks(part))


def plan_split(
    path: str,
    parts: Sequence[Part],
    log: IssueLog,
    progress: Progress = lambda size: None,
    truth: GroundTruthParts | None = None,
    seed: int = 0,
    stratify: str = "label",
    same_content: bool = False,
) -> SplitPlan:
    """Read a set and decide where its rows go; `stratify`: label or none. Raises GroundswiftError for issues or impossible parts."""
    facts = facts_of(path, same_content, log, progress)
    grouping = grouped(facts)
    sizes = np.bincount(grouping.of_row)
    try:
        targets = targets_of(parts, grouping.count)
    except GroundswiftError as error:
        what = f"{facts.index.path}: {error}"
        if sizes.max() > 1:
            what += f" (rows that share an image form a group; the largest has {sizes.max()} of {len(facts.index)} rows)"
        raise GroundswiftError(what) from None
    pairs = labels_of_groups(facts, grouping)
    part_of_group = stratified(*pairs, targets, seed) if stratify == "label" else at_random(targets, seed)
    report = reported(facts, grouping, pairs, part_of_group, parts)
    report.seed, report.stratify, report.ids_as_text = seed, stratify, has_both_types([facts.index])
    report.counts = dict(log.counted.counts.most_common())
    return SplitPlan(facts, part_of_group[grouping.of_row], report, truth)


def reported(
    facts: Facts,
    grouping: Grouping,
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]],
    part_of_group: NDArray[np.int64],
    parts: Sequence[Part],
) -> SplitReport:
    """Count what each part got, and how the classes are distributed. `pairs`: see `labels_of_groups`."""
    width, groups = len(parts), grouping.count
    part_of_row = part_of_group[grouping.of_row]
    of_groups = np.bincount(part_of_group, minlength=width)
    of_rows = np.bincount(part_of_row, minlength=width)
    of_images = np.bincount(part_of_group[grouping.of_media], minlength=width)
    of_objects = np.bincount(part_of_row, weights=np.frombuffer(facts.objects, np.uint32), minlength=width)
    made = [
        PartReport(part.name, int(g), float(g / groups), int(r), int(i), int(o))
        for part, g, r, i, o in zip(parts, of_groups, of_rows, of_images, of_objects, strict=True)
    ]
    named = pairs[1] < len(facts.names)
    cells = pairs[1][named] * width + part_of_group[pairs[0][named]]
    table = np.bincount(cells, minlength=len(facts.names) * width).reshape(-1, width)
    totals = table.sum(axis=1)
    deviation = np.abs(table / np.maximum(totals, 1)[:, None] - of_groups / groups).max(axis=1, initial=0)
    rare = totals * of_groups.min() < groups
    missing = (table == 0).any(axis=1)
    classes = [
        ClassReport(name, int(totals[number]), table[number].tolist(), float(deviation[number]), bool(rare[number]))
        for name, number in facts.names.items()
    ]
    classes.sort(key=lambda each: (each.rare, -each.deviation, each.label))
    return SplitReport(
        len(facts.index),
        len(grouping.of_media),
        groups,
        int(np.bincount(grouping.of_row).max()),
        parts=made,
        classes=classes,
        largest_deviation=next((each.deviation for each in classes if not each.rare), None),
        missing_in_a_part=int(missing.sum()),
        missing_though_enough=int((missing & (totals >= width)).sum()),
    )
