"""The memory that an engine needs: a ground truth that is too large is refused instead of ending the process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from groundswift.errors import GroundswiftError

from ..answers.to_boxes import Predictions
from ..close_pairs import Pairs
from ..ground_truth import Truth

NUMBER = 8  # bytes
TIMES_THE_ARRAYS = {"hotcoco": 4, "pycocotools": 2}  # measured with 1,000 to 4,000 classes: 384 and 200 KB a class at 3 limits
TIMES_OWN_ARRAYS = 1.5  # measured with 1,500 classes
PER_PAIR = 2 * NUMBER  # measured with 4,000 to 8,000 boxes of one class in one image, all predictions counting
PER_NEAR_PAIR = 8 * NUMBER  # measured with 2,500 boxes, all of them near each other
PER_CELL = 600  # pycocotools keeps a record for each class, image and area range
MEMINFO, CGROUPS = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
CGROUP_FILES = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


def needed_bytes(truth: Truth, predictions: Predictions, engine: str, array_numbers: int, parts: Sequence[slice] = (slice(None),)) -> int:
    """About how much memory a library allocates; `array_numbers` are those of the precision array that it returns.

    `parts`: the classes that it scores together.
    """
    classes, images = max(len(truth.category_ids), 1), len(truth.image_ids)
    groups = (each.image_index * classes + each.category_index for each in (truth, predictions))
    pairs = max(int(np.sum(part)) for part in np.split(pairs_of_classes(*groups, classes), [part.stop for part in parts][:-1]))
    cells = PER_CELL * classes * images if engine == "pycocotools" else 0
    return TIMES_THE_ARRAYS[engine] * array_numbers * NUMBER + PER_PAIR * pairs + cells


def own_bytes(array_numbers: int, near: Pairs) -> int:
    """The same of our own engine, which has the pairs that are near each other already."""
    return int(TIMES_OWN_ARRAYS * array_numbers * NUMBER) + PER_NEAR_PAIR * len(near.iou)


def pairs_of_classes(groups: np.ndarray, others: np.ndarray, classes: int) -> np.ndarray:
    """(K,) how many pairs of members of one group there are between two lists of groups, by class."""
    (names, counts), (other_names, other_counts) = (np.unique(each, return_counts=True) for each in (groups, others))
    same, first, second = np.intersect1d(names, other_names, assume_unique=True, return_indices=True)
    return np.bincount(same % classes, counts[first] * other_counts[second], minlength=classes)


def available_bytes() -> int | None:
    """What this process may still allocate: free memory of the machine, its control group and its own limit; None where unknown."""
    known = [amount for amount in (_of_machine(), _of_cgroup(), _of_limit()) if amount is not None]
    return min(known) if known else None


def check_memory(needed: int, truth: Truth, predictions: Predictions) -> None:
    """Raises GroundswiftError where an evaluation needs more memory than there is."""
    available = available_bytes()
    if available is not None and needed > available:
        raise GroundswiftError(
            f"scoring {len(predictions.scores)} predictions of {len(truth.category_ids)} classes in {len(truth.image_ids)} images against "
            f"{len(truth.is_crowd)} boxes needs about {needed / 1e9:.1f} GB of memory, and {available / 1e9:.1f} GB are free; expected "
            "fewer classes (those without a box need memory, too), fewer boxes of one class in one image, or more memory"
        )


def _of_machine() -> int | None:
    try:
        for line in MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def _of_cgroup() -> int | None:
    for limit, used in CGROUP_FILES:
        try:
            return int((CGROUPS / limit).read_text()) - int((CGROUPS / used).read_text())
        except (OSError, ValueError):  # no such group, or the word max
            continue
    return None


def _of_limit() -> int | None:
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        return limit - int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        return None
