"""`--callbacks groundswift_images`: TensorBoard gets images of the validation set with their true and their predicted boxes.

GROUNDSWIFT_EVAL_IMAGES says how many (8), and switches it on without the callback; 0 switches it off. They are the same images at each
evaluation, spread over the set, so that TensorBoard's slider shows how answers change with the step.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from swift.callbacks.base import TrainerCallback
from swift.utils import get_logger
from transformers.integrations import TensorBoardCallback

from groundswift.box_drawing import OUTCOME_COLOURS
from groundswift.boxes import as_boxes
from groundswift.errors import GroundswiftError, error_at
from groundswift.eval.answers.to_boxes import boxes_of_answers
from groundswift.images import open_image
from groundswift.row_view import image_source

from .box_panels import panel, sheet
from .unanswered import Unanswered
from .validation_rows import UNSCORED, Sample

if TYPE_CHECKING:
    from PIL.Image import Image

CALLBACK = "groundswift_images"
COUNT, DEFAULT_COUNT = "GROUNDSWIFT_EVAL_IMAGES", 8
LARGEST_PX = 768  # longer side of an image in the event file
LONGEST = 2_000  # characters of an answer in the event file
TRUE_COLOUR, FOUND_COLOUR = (tuple(bytes.fromhex(OUTCOME_COLOURS[name][1:])) for name in ("truth", "false_positive"))


def image_count(default: int = 0) -> int:
    """How many images GROUNDSWIFT_EVAL_IMAGES asks for. Raises GroundswiftError where it is not a number of them."""
    text = os.environ.get(COUNT) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise error_at(COUNT, repr(text[:100]), "a number of images up to 9999, 0 for none")
    return int(text)


class PredictionImages(TrainerCallback):
    """Writes images with boxes into TensorBoard's event file after each evaluation, in the first process."""

    def __init__(self, args: Any, trainer: Any) -> None:
        super().__init__(args, trainer)
        if not hasattr(trainer, "coco_map"):
            raise GroundswiftError(
                f"--callbacks {CALLBACK} draws generated answers: add --predict_with_generate true --eval_metric coco_map"
            )
        self.count = image_count(DEFAULT_COUNT)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        metric, writer = self.trainer.coco_map, self.writer() if state.is_world_process_zero else None
        if writer is None or metric.scoring is None or not metric.last_texts:
            return
        samples, failed = metric.scoring.samples, []
        for place in spread(drawable(samples), self.count):
            name, text = f"row {place}", metric.last_texts[place]
            try:
                panel = drawn(self.image(place), samples[place], text, metric.rules)
            except (GroundswiftError, OSError) as error:
                failed.append(f"{name}: {error}")
                continue
            writer.add_image(f"eval_images/{name}", np.asarray(panel), state.global_step, dataformats="HWC")
            writer.add_text(f"eval_answers/{name}", as_code(text), state.global_step)
        writer.flush()
        if failed:
            get_logger().warning(f"{CALLBACK}: {len(failed)} images cannot be drawn; first: {failed[0]}")

    def image(self, place: int) -> Image:
        """The image of a validation row, at most LARGEST_PX large. Raises GroundswiftError where it cannot be read."""
        rows = self.trainer.eval_dataset
        row = rows[place] if hasattr(rows, "__getitem__") else next(islice(rows, place, None))
        image = open_image(image_source(row["images"][0]))
        image.thumbnail((LARGEST_PX, LARGEST_PX))
        return image

    def writer(self) -> Any:
        """The writer of transformers' own callback; None, with a warning, where the run does not report to TensorBoard."""
        for callback in self.trainer.callback_handler.callbacks:
            if isinstance(callback, TensorBoardCallback):
                return callback.tb_writer
        get_logger().warning_once(f"{CALLBACK}: this run does not report to TensorBoard, no image is written. Add --report_to tensorboard")
        return None


def drawable(samples: Sequence[Sample]) -> list[int]:
    """The rows with an image whose answers are about boxes."""
    return [place for place, sample in enumerate(samples) if sample.kind not in UNSCORED and sample.row.get("images")]


def spread(places: Sequence[int], count: int) -> list[int]:
    """At most `count` of them at equal distances, the first included."""
    return [places[number * len(places) // count] for number in range(count)] if len(places) > count else list(places)


def drawn(image: Image, sample: Sample, text: str, rules: Any) -> Image:
    """The image of a row twice: with its true boxes, and with those of an answer."""
    scale = np.array([image.width / sample.size_wh[0], image.height / sample.size_wh[1]] * 2)
    found = boxes_of_answers([None if isinstance(text, Unanswered) else text], [sample.size_wh], rules, ["answer"])
    truth = panel(image, as_boxes(sample.boxes_xyxy_px) * scale, sample.labels, TRUE_COLOUR)
    answer = panel(image, found.boxes_xyxy_px[0] * scale, found.labels[0], FOUND_COLOUR)
    captions = (f"true: {len(sample.boxes_xyxy_px)}", f"answer ({found.statuses[0]}): {len(found.labels[0])}")
    return sheet([truth, answer], captions)


def as_code(text: str) -> str:
    """A text as TensorBoard's Markdown shows it unchanged: indented."""
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]} ... ({len(text):,} characters)"
    return "\n".join(f"    {line}" for line in shown.splitlines() or [""])
