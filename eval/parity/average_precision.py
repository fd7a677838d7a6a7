"""COCO AP of each way on the images that were compared, also where images were resized."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from groundswift.errors import error_at

from ..answers.protocol import Rules
from ..answers.to_boxes import reader_of, size_problem
from ..ground_truth import Federated, Truth
from ..metrics.coco_map import evaluate
from .answers import Key, Sample, WayAnswers

Place = tuple[int, tuple[int, int]]  # index of an image in the ground truth, and the size_wh at which it was shown
KEPT = ("AP", "AP50")


def places_of(answers: WayAnswers, keys: Iterable[Key], truth: Truth) -> dict[Key, Place]:
    """The image of each sample. Raises GroundswiftError where one is not in the ground truth, or has another size without a resize."""
    index_of = {str(image_id): index for index, image_id in enumerate(truth.image_ids)}
    found = {}
    for key in keys:
        sample, index = answers.samples[key], index_of.get(key[0])
        if index is None:
            what = f"sample_id {sample.sample_id!r} is not in the ground truth"
            raise error_at(answers.path, what, "the file that the rows were converted from")
        true_wh = tuple(truth.sizes_wh[index].tolist())
        if not key[1] and sample.size_wh != true_wh and min(true_wh) > 0:
            raise error_at(answers.path, f"image {sample.sample_id} {size_problem(sample.size_wh, true_wh)}")
        found[key] = index, sample.size_wh
    return found


def truth_at(truth: Truth, places: Sequence[Place]) -> Truth:
    """The ground truth of some images at some sizes: boxes and areas are scaled with the image; ids count from 1."""
    order = np.argsort(truth.image_index, kind="stable")
    ends = np.searchsorted(truth.image_index[order], np.arange(len(truth.image_ids) + 1))
    parts = [order[ends[index] : ends[index + 1]] for index, _ in places]
    boxes = np.concatenate([*parts, np.zeros(0, dtype=np.int64)])
    sizes_wh = np.array([size_wh for _, size_wh in places], dtype=np.int64).reshape(-1, 2)
    true_wh = truth.sizes_wh[[index for index, _ in places]]
    scales = np.where(true_wh > 0, sizes_wh / np.maximum(true_wh, 1), 1.0)
    image_index = np.repeat(np.arange(len(places)), [len(part) for part in parts])
    of_boxes = scales[image_index]
    return Truth(
        list(range(1, len(places) + 1)),
        [truth.file_names[index] for index, _ in places],
        sizes_wh,
        truth.category_ids,
        truth.category_names,
        image_index,
        truth.category_index[boxes],
        truth.boxes_xywh_px[boxes] * np.concatenate([of_boxes, of_boxes], axis=1),
        truth.areas_px2[boxes] * of_boxes.prod(axis=1),
        truth.is_crowd[boxes],
        _federated_at(truth.federated, places),
    )


def _federated_at(federated: Federated | None, places: Sequence[Place]) -> Federated | None:
    if federated is None:
        return None
    lists = ([kind[index] for index, _ in places] for kind in (federated.negative, federated.not_exhaustive))
    return Federated(*lists, federated.frequencies)


def average_precision(samples: Sequence[tuple[Place, Sample]], rules: Rules, truth: Truth) -> dict[str, float | None]:
    """AP and AP50 of some answers; several questions to one image count together. None where no image has an object."""
    places = list(dict.fromkeys(place for place, _ in samples))
    scaled = truth_at(truth, places)
    reader, index_of = reader_of(scaled, rules), {place: index for index, place in enumerate(places)}
    for place, sample in samples:
        reader.add(index_of[place], sample.text, truncated=sample.truncated)
    summary = evaluate(scaled, reader.answers(scaled).predictions).summary
    return {name: summary[name] for name in KEPT}
