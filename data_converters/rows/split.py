"""Parts of a set that share no image, with the classes spread over them.

Rows that share an image, video or audio file form a group, also through other rows (a with b and b with c puts a with c), and a group goes
to one part as a whole. Rows without media are grouped by their sample_id; without one, each is a group.

Classes are spread over groups by iterative stratification (Sechidis et al. 2011, On the Stratification of Multi-label Data): the class
with the fewest groups left comes first, and each of its groups goes to the part that lacks most of that class. Unlike in that article, a
part takes exactly its number of groups, groups without a label count as a class, and a class with only as many groups left as there are
parts without it goes to those parts.

A pass keeps about 60 bytes per row and none of its text.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswift.errors import GroundswiftError
from groundswift.row_view import RowView, image_source, short

from ..issues import Issue, IssueLog
from .line_index import JsonRow, LineIndex, Progress, json_rows, key64
from .media_keys import MediaKeys
from .mix import permuted
from .typed_row import TypedRow, typed_row

MOST_PAIRINGS = 2_000  # that are remembered
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
    facts = Facts(LineIndex.of(path))
    media, pairings = MediaKeys(same_content), Pairings()
    for row in json_rows(facts.index, log, progress, pairings.typed):
        content = typed_content(row.typed, pairings.latest) if row.typed else whole_content(row, f"{facts.index.path}:{row.number}", log)
        if content is not None:
            _add(facts, row, content, media, log)
    facts.index.settle(log)
    return facts


class Content(msgspec.Struct, gc=False):
    """What a split needs of a row: the files that it shows, the labels of its objects, and how many it has."""

    media: Sequence[str]
    labels: Sequence[str]
    objects: int


def whole_content(row: JsonRow, where: str, log: IssueLog) -> Content | None:
    """The content of a row of any form; None, and a problem is logged, for one whose images are no paths."""
    view = RowView.of(row.row)
    broken = next((what for rule, what in view.findings if rule == "image-shape"), None)
    if broken is None and not all(map(image_source, view.images)):
        broken = f"images are {short(view.images)}; expected paths"
    if broken is not None:
        log.add(Issue.of("image-not-path", where, broken))
        return None
    if view.boxes is None or view.refs is None:
        log.count("objects-unreadable-as-none", where)
    labels = view.classes()
    return Content(list(media_of(view)), labels, len(view.boxes or labels))


class Pairings:
    """Which label each box of a row has, where that is clear from its messages and from how many it has. It is remembered."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int, int, int], tuple[int | None, ...]] = {}
        self.latest: tuple[int | None, ...] | None = None  # of the last row that was read

    def typed(self, raw: bytes) -> TypedRow | None:
        """A line of the converters' form in whose shape nothing is wrong."""
        row = typed_row(raw)
        if row is None or not all(map(str.strip, row.images)):
            return None
        self.latest = self._of(row, raw)
        return None if self.latest is None else row

    def _of(self, row: TypedRow, raw: bytes) -> tuple[int | None, ...] | None:
        """For each box the index of its label, () if they are in order; None where something is wrong with the row."""
        refs, boxes = (len(row.objects.ref), len(row.objects.bbox)) if row.objects else (0, 0)
        key = (bytes(row.messages), len(row.images), refs, boxes)
        found = self._known.get(key)
        if found is None:
            try:
                view = RowView.of(msgspec.json.decode(raw))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # the messages were skipped so far
                return None
            if view.findings or view.videos or len(view.images) != len(row.images):  # some are in the messages
                return None
            if len(self._known) > MOST_PAIRINGS:
                self._known.clear()
            pairs = view.pairing.ref_of_box
            found = self._known[key] = () if pairs == list(range(refs)) else tuple(pairs)
        return found


def typed_content(row: TypedRow, ref_of_box: Sequence[int | None]) -> Content:
    """The content of a row of the converters' form."""
    refs, boxes = (row.objects.ref, row.objects.bbox) if row.objects else ([], [])
    labels = [refs[ref] for ref in ref_of_box if ref is not None] or refs
    return Content(row.images, labels, len(boxes or labels))


def _add(facts: Facts, row: JsonRow, content: Content, media: MediaKeys, log: IssueLog) -> None:
    try:
        keys = list(map(media, content.media))
    except GroundswiftError as error:
        return log.add(Issue("image-unreadable", f"{facts.index.path}:{row.number}", str(error), "a file to compare with others"))
    facts.index.add(row)
    facts.has_media.append(bool(keys))
    keys = (list(dict.fromkeys(keys)) if len(keys) > 1 else keys) or [_key_without_media(row.sample_id, row.number)]
    facts.keys.extend(keys)
    facts.key_counts.append(len(keys))
    facts.objects.append(content.objects)
    try:
        facts.labels.extend([facts.names[label] for label in content.labels])
        facts.label_counts.append(len(content.labels))
    except KeyError:
        _add_new_labels(facts, content, log)


def _add_new_labels(facts: Facts, content: Content, log: IssueLog) -> None:
    before = len(facts.labels)
    for label in content.labels:
        number = facts.names.get(label)
        if number is None and len(facts.names) < MOST_LABELS:
            number = facts.names[label] = len(facts.names)
        if number is None:
            log.count("label-beyond-limit", label)
        else:
            facts.labels.append(number)
    facts.label_counts.append(len(facts.labels) - before)


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
    root = joined(len(distinct), (node[starts[row] : starts[row] + counts[row]].tolist() for row in several.tolist()))
    of_row = root[node[starts]]
    _, first, number = np.unique(of_row, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    of_row = rank[number]
    media_rows = np.repeat(np.frombuffer(facts.has_media, np.uint8).astype(bool), counts)
    of_link = np.repeat(of_row, counts)
    _, link = np.unique(node[media_rows], return_index=True)
    return Grouping(of_row, of_link[media_rows][link], len(first))


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


def at_random(targets: Sequence[int], seed: int) -> NDArray[np.int64]:
    """(groups,) part of each, at random."""
    parts = np.empty(sum(targets), np.int64)
    parts[permuted(len(parts), seed)] = np.repeat(np.arange(len(targets)), targets)
    return parts


def stratified(groups: NDArray[np.int64], labels: NDArray[np.int64], targets: Sequence[int], seed: int) -> NDArray[np.int64]:
    """(groups,) part of each. `groups`, `labels`: (P,) pairs ordered by group, each group in at least one; `targets`: groups per part."""
    total, width, kinds = sum(targets), len(targets), int(labels.max()) + 1
    turn = np.empty(total, np.int64)
    turn[permuted(total, seed)] = np.arange(total)
    members = groups[np.lexsort((turn[groups], labels))].tolist()  # label by label, in the order of their turn
    left = np.bincount(labels, minlength=kinds).tolist()
    ends = np.cumsum(left).tolist()
    wanted = np.outer(left, targets).ravel().tolist()  # in groups, times `total`, so that all are integers
    held = bytearray(kinds * width)
    starts_of = np.searchsorted(groups, np.arange(total + 1)).tolist()
    flat, free, parts = labels.tolist(), list(targets), [-1] * total
    open_parts = [part for part, room in enumerate(free) if room]
    queue = [(count, label) for label, count in enumerate(left) if count]
    heapify(queue)
    while queue:
        count, label = heappop(queue)
        if count != left[label]:  # it has fewer groups by now, and is in the queue again
            continue
        touched = set()
        base = label * width
        for group in members[ends[label - 1] if label else 0 : ends[label]]:
            if parts[group] >= 0:
                continue
            part = _part_for(base, left[label], wanted, held, free, open_parts)
            parts[group] = part
            free[part] -= 1
            if not free[part]:
                open_parts.remove(part)
            for other in flat[starts_of[group] : starts_of[group + 1]]:
                wanted[other * width + part] -= total
                held[other * width + part] = 1
                left[other] -= 1
                touched.add(other)
        for other in touched:
            if left[other]:
                heappush(queue, (left[other], other))
    return np.array(parts)


def _part_for(base: int, left: int, wanted: list[int], held: bytearray, free: list[int], open_parts: list[int]) -> int:
    """The part with room that lacks most of a class, whose row starts at `base`; among equals the one with most room."""
    if left <= len(open_parts):
        lacking = [part for part in open_parts if not held[base + part]]
        if left <= len(lacking):
            open_parts = lacking
    best = open_parts[0]
    most = wanted[base + best]
    for part in open_parts[1:]:
        lack = wanted[base + part]
        if lack > most or (lack == most and free[part] > free[best]):
            best, most = part, lack
    return best
