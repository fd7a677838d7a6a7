"""Frames that look the same: a difference hash of each image, and the groups of those that differ in few bits.

The hash (dHash): the image in grey, resized to 17 x 16; a bit for each pair of neighbours in a line says whether the right one is
brighter: 256 bits. It keeps the layout of the scene and forgets size, compression and brightness.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from groundswift.errors import GroundswiftError
from groundswift.images import OpenedImage
from groundswift.worker_pool import WorkerPool

from ..issues import Issue, IssueLog

SIDE = 16
BITS = SIDE * SIDE
ONES = np.array([bin(value).count("1") for value in range(256)], np.uint16)


def difference_hash(path: str) -> bytes | Issue:
    """The 32 bytes of an image's hash, or why there are none."""
    try:
        image = OpenedImage(path).decode((SIDE + 1, SIDE)).convert("L")
    except GroundswiftError as error:
        return Issue.of("image-unreadable", path, str(error).removeprefix(f"{path}: "), "an image to compare with others")
    grey = np.asarray(image.resize((SIDE + 1, SIDE), Image.Resampling.BOX), np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes()


def hashes_of(paths: Sequence[str], pool: WorkerPool, log: IssueLog) -> Iterator[bytes | None]:
    """The hash of each image, in order; None, and a problem is logged, where it cannot be read."""
    from tqdm import tqdm

    found = pool.in_order(paths, difference_hash)
    for hashed in tqdm(found, total=len(paths), desc="compare", unit="image", disable=None):
        if isinstance(hashed, Issue):
            log.add(hashed)
        yield None if isinstance(hashed, Issue) else hashed


def distances(one: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """In how many bits a hash (32,) differs from others (N, 32) -> (N,)."""
    return ONES[one ^ others].sum(axis=1, dtype=np.uint16)


def near_pairs(hashes: Sequence[bytes], most_bits: int) -> Iterator[list[int]]:
    """Pairs of places whose hashes differ in at most `most_bits` bits, enough of them to join all that are near, also through others.

    Of most_bits + 1 parts of two such hashes at least one is equal, so only those that share a part are compared.
    """
    first: dict[bytes, int] = {}
    for place, each in enumerate(hashes):
        if (same := first.setdefault(each, place)) != place:
            yield [same, place]
    places = np.fromiter(first.values(), np.int64, len(first))
    table = np.frombuffer(b"".join(first), np.uint8).reshape(-1, BITS // 8)
    bits = np.unpackbits(table, axis=1)
    for part in np.array_split(np.arange(BITS), most_bits + 1) if most_bits else ():
        for bucket in buckets(np.packbits(bits[:, part], axis=1)):
            for one, other in near_in(table[bucket], most_bits):
                yield [int(places[bucket[one]]), int(places[bucket[other]])]


def buckets(keys: NDArray[np.uint8]) -> Iterable[NDArray[np.int64]]:
    """The places of equal keys (N, W), for each key that occurs twice or more."""
    _, number = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(number.ravel(), kind="stable")
    ends = np.flatnonzero(np.diff(number.ravel()[order])) + 1
    return (group for group in np.split(order, ends) if len(group) > 1)


def near_in(table: NDArray[np.uint8], most_bits: int) -> Iterator[tuple[int, int]]:
    """Pairs of rows of a table of hashes that differ in at most `most_bits` bits, one for each row that is near an earlier one."""
    left = np.arange(len(table))
    while len(left):
        waiting, left = [int(left[0])], left[1:]
        while waiting and len(left):
            one = waiting.pop()
            near = distances(table[one], table[left]) <= most_bits
            found, left = left[near].tolist(), left[~near]
            waiting += found
            yield from ((one, other) for other in found)
