"""What a split needs of the rows: groups that share no image, and the classes in them.

Rows that share an image, video or audio file form a group, also through other rows (a with b and b with c puts a with c), and a group goes
to one part as a whole. Rows without media are grouped by their sample_id; without one, each is a group.

Classes are spread over groups as `stratification` says.

A pass keeps about 60 bytes per row and none of its text.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.errors import GroundswiftError
from groundswift.row_view import RowView, image_source, short

from ..issues import Issue, IssueLog
from .line_index import JsonRow, LineIndex, Progress, json_rows, key64
from .media_keys import MediaKeys
from .typed_row import NO_OBJECTS, Messages, TypedRun

MOST_LABELS = 100_000  # distinct labels that are spread; further ones are ignored
OTHER_MEDIA = ("videos", "video", "audios", "audio")


@dataclass
class Facts:
    """What a pass keeps of the rows. `keys`: 64 bits of each image or id that ties a row to others, `key_counts` per row (1 or more);
    `has_media`: 1 if those are media. `labels`: indexes into `names`, `label_counts` per row."""

    index: LineIndex
    keys: array = field(default_factory=lambda: array("Q"))
    key_counts: array = field(default_factory=lambda: array("I"))
    has_media: bytearray = field(default_factory=bytearray)
    objects: array = field(default_factory=lambda: array("I"))
    labels: array = field(default_factory=lambda: array("I"))
    label_counts: array = field(default_factory=lambda: array("I"))
    names: dict[str, int] = field(default_factory=dict)


class Grouping(NamedTuple):
    """`of_row`: (rows,) group of each row, numbered by first appearance. `of_media`: (M,) group of each distinct image, video or audio."""

    of_row: NDArray[np.int64]
    of_media: NDArray[np.int64]
    count: int


def facts_of(path: str, same_content: bool, log: IssueLog, progress: Progress) -> Facts:
    """The first pass, with media compared as in `MediaKeys`. Raises GroundswiftError for a file that is missing, empty, or with issues."""
    facts, media = Facts(LineIndex.of(path)), MediaKeys(same_content)
    for found in json_rows(facts.index, log, progress, Messages(label_of_box)):
        if isinstance(found, TypedRun):
            _add(facts, found, contents_of(found), media, log)
        elif content := content_of(RowView.of(found.row), f"{facts.index.path}:{found.number}", log):
            _add(facts, found, content, media, log)
    facts.index.settle(log)
    return facts


class Contents(NamedTuple):
    """What a split needs of each of some rows: the files that it shows, the labels of its objects, and how many it has."""

    media: Sequence[Sequence[str]]
    labels: Sequence[Sequence[str]]
    objects: Sequence[int]


def content_of(view: RowView, where: str, log: IssueLog) -> Contents | None:
    """The content of a row of any form; None, and a problem is logged, for one whose images are no paths."""
    broken = next((what for rule, what in view.findings if rule == "image-shape"), None)
    if broken is None and not all(map(image_source, view.images)):
        broken = f"images are {short(view.images)}; expected paths"
    if broken is not None:
        log.add(Issue.of("image-not-path", where, broken))
        return None
    if view.boxes is None or view.refs is None:
        log.count("objects-unreadable-as-none", where)
    labels = view.classes()
    return Contents([list(media_of(view))], [labels], [len(view.boxes or labels)])


def label_of_box(view: RowView) -> tuple[int | None, ...]:
    """For each box the index of its label, () if they are in order."""
    pairs = view.pairing.ref_of_box
    return () if pairs == list(range(len(view.refs or ()))) else tuple(pairs)


def contents_of(run: TypedRun) -> Contents:
    """The content of rows of the converters' form. What their messages say is the label of each box."""
    objects = [row.objects or NO_OBJECTS for row in run.rows]
    labels = [each.ref for each in objects]
    if any(run.said):
        labels = [[refs[ref] for ref in pairs if ref is not None] or refs for refs, pairs in zip(labels, run.said, strict=True)]
    counts = [len(each.bbox or refs) for each, refs in zip(objects, labels, strict=True)]
    return Contents([row.images for row in run.rows], labels, counts)


def _add(facts: Facts, found: JsonRow | TypedRun, contents: Contents, media: MediaKeys, log: IssueLog) -> None:
    """Add some rows; a problem is logged for one whose media cannot be read."""
    try:
        keys = media.of(list(chain.from_iterable(contents.media)))
    except GroundswiftError as error:
        if len(contents.media) == 1:
            return log.add(Issue("image-unreadable", f"{facts.index.path}:{found.number}", str(error), "a file to compare with others"))
        for one in found.one_by_one():
            _add(facts, one, contents_of(one), media, log)
        return None
    if isinstance(found, TypedRun):
        facts.index.add_run(found)
    else:
        facts.index.add(found)
    _add_keys(facts, keys, list(map(len, contents.media)), found)
    _add_labels(facts, contents.labels, log)
    facts.objects.extend(contents.objects)
    return None


def _add_keys(facts: Facts, keys: list[int], counts: list[int], found: JsonRow | TypedRun) -> None:
    """Add the keys of some rows, `counts` of media per row."""
    facts.has_media.extend(map(bool, counts))
    if counts.count(1) < len(counts):
        rest, own_keys = iter(keys), []
        for number, (count, sample_id) in enumerate(zip(counts, found.sample_ids, strict=True), found.number):
            own_keys.append(list(dict.fromkeys(islice(rest, count))) or [_key_without_media(sample_id, number)])
        keys, counts = list(chain.from_iterable(own_keys)), list(map(len, own_keys))
    facts.keys.extend(keys)
    facts.key_counts.extend(counts)


def _add_labels(facts: Facts, labels: Sequence[Sequence[str]], log: IssueLog) -> None:
    """Add the labels of some rows; beyond MOST_LABELS, new ones are counted only."""
    number_of = facts.names.__getitem__
    try:
        numbers = list(map(number_of, chain.from_iterable(labels)))
    except KeyError:
        _name(facts, list(chain.from_iterable(labels)), log)
        labels = [list(filter(facts.names.__contains__, each)) for each in labels]
        numbers = list(map(number_of, chain.from_iterable(labels)))
    facts.labels.extend(numbers)
    facts.label_counts.extend(map(len, labels))


def _name(facts: Facts, labels: Sequence[str], log: IssueLog) -> None:
    """Number new labels; those beyond MOST_LABELS are counted only."""
    names = facts.names
    for label in dict.fromkeys(labels):
        if label not in names and len(names) < MOST_LABELS:
            names[label] = len(names)
    if len(names) == MOST_LABELS:
        for label in labels:
            if label not in names:
                log.count("label-beyond-limit", label)


def _key_without_media(sample_id: object, number: int) -> int:
    return key64(f"id {sample_id}" if type(sample_id) in (int, str) else f"line {number}")


def media_of(view: RowView) -> Iterator[str]:
    """Paths, URLs or base64 text of all images, videos and audio files of a row."""
    for image in view.images:
        yield from _texts(image)
    for key in OTHER_MEDIA:
        if view.row.get(key):
            yield from _texts(view.row[key])


def _texts(value: object) -> Iterator[str]:
    """The paths in a list of paths, of lists of frames, or of {path}."""
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif source := image_source(value):
        yield source


def grouped(facts: Facts) -> Grouping:
    """Rows that share a key, directly or through others, by union-find."""
    counts = np.frombuffer(facts.key_counts, np.uint32).astype(np.int64)
    distinct, node = np.unique(np.frombuffer(facts.keys, np.uint64), return_inverse=True)
    starts = np.cumsum(counts) - counts
    several = np.flatnonzero(counts > 1)
    root = np.arange(len(distinct))
    if len(several):
        root = joined(len(distinct), (node[starts[row] : starts[row] + counts[row]].tolist() for row in several.tolist()))
    of_row = root[node[starts]]
    first = np.empty(len(distinct), np.int64)  # row of each root: of several values for a place, numpy keeps the last
    first[of_row[::-1]] = np.arange(len(of_row))[::-1]
    first = first[of_row]
    number = np.cumsum(first == np.arange(len(of_row))) - 1
    of_row = number[first]
    group, is_media = np.empty(len(distinct), np.int64), np.zeros(len(distinct), bool)
    group[node] = np.repeat(of_row, counts)
    is_media[node[np.repeat(np.frombuffer(facts.has_media, np.uint8).astype(bool), counts)]] = True
    return Grouping(of_row, group[is_media], int(number[-1]) + 1)


def joined(size: int, together: Iterable[list[int]]) -> NDArray[np.int64]:
    """Numbers 0 to size - 1, of which each list is joined -> (size,) one number per joined set."""
    parent = list(range(size))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for nodes in together:
        first = root(nodes[0])
        for other in nodes[1:]:
            parent[root(other)] = first
    roots = np.array(parent, dtype=np.int64)
    while not np.array_equal(roots, further := roots[roots]):
        roots = further
    return roots


def labels_of_groups(facts: Facts, grouping: Grouping) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each label of each group once, as two (P,) arrays (group, label), ordered by group. Groups without a label get len(facts.names)."""
    wide = len(facts.names) + 1
    rows = np.repeat(grouping.of_row, np.frombuffer(facts.label_counts, np.uint32))
    pairs = np.unique(rows * wide + np.frombuffer(facts.labels, np.uint32).astype(np.int64))
    bare = np.setdiff1d(np.arange(grouping.count), pairs // wide, assume_unique=False)
    pairs = np.sort(np.concatenate([pairs, bare * wide + wide - 1]))
    return pairs // wide, pairs % wide
