"""Rows of `swift rlhf` and `swift sample`, whose answers are not always their own: generated ones, rejected ones, KTO's mismatched ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from swift.pipelines.sampling.vanilla_sampler import VanillaSampler
from swift.pipelines.train.kto import KTOPreprocessor

from groundswift.images import read_size_wh
from groundswift.records import count_tags

from ..patches.wrap_once import patch

TOKENS_OF_A_ROLLOUT = "response_token_ids"  # a column of rows whose last answer GRPO or GKD generated


def is_generated(inputs: Any) -> bool:
    """Whether the last answer was generated in this run: it comes as token ids, or as text in a row that has those of a rollout."""
    return not isinstance(inputs.messages[-1].get("content"), str) or bool(inputs.extra_kwargs.get(TOKENS_OF_A_ROLLOUT))


def answers_hold_all_objects(inputs: Any) -> bool:
    """Whether every object of a row must have its placeholder: not where the answer is missing, generated, or another's."""
    if not inputs.messages or inputs.messages[-1]["role"] != "assistant" or inputs.messages[-1].get("content") is None:
        return False
    return not is_generated(inputs) and not borrows_objects(inputs)


def borrows_objects(inputs: Any) -> bool:
    """Whether an answer is a rejected one with the objects of the chosen one."""
    return getattr(inputs, "borrows_objects", False)


def take_generated_text_literally(inputs: Any, tokenizer: Any) -> None:
    """Replace a generated answer that holds placeholders by its token ids: they are words of the model, not ground-truth boxes."""
    message = inputs.messages[-1] if inputs.messages else {}
    content = message.get("content")
    if message.get("role") == "assistant" and isinstance(content, str) and is_generated(inputs) and any(count_tags([content])[:2]):
        message["content"] = tokenizer.encode(content, add_special_tokens=False)


def note_borrowed_objects(inputs: Any) -> None:
    """Mark a rejected answer that has the objects of the chosen one: swift copies them where a row has no `rejected_objects`."""
    if inputs.rejected is not None:
        inputs.rejected.borrows_objects = inputs.rejected.objects == inputs.chosen.objects


@patch("batched_preprocess", KTOPreprocessor)
def move_kto_objects(
    batched_preprocess: Callable[..., Any], self: KTOPreprocessor, batched_row: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """KTO's step that shifts answers by one row, with `rejected_objects` that fit the shifted answer."""
    columns = batched_preprocess(self, batched_row, **more)
    rows = self.batched_to_rows({name: values for name, values in columns.items() if name != "rejected_response"})
    if any(row.get("objects") for row in rows):
        shifted = [rows[-1], *rows[:-1]]
        columns["rejected_objects"] = [objects_of_pair(row, other) for row, other in zip(rows, shifted, strict=True)]
    return columns


@patch("__call__", KTOPreprocessor)
def ignore_kto_cache(call: Callable[..., Any], self: KTOPreprocessor, dataset: Any, **more: Any) -> Any:
    """KTO's step without the cache of an earlier run, which may have been one without these objects."""
    return call(self, dataset, **(more | {"load_from_cache_file": False}))


def objects_of_pair(row: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Objects for the question of `row` and the last answer of `other`, boxes as 0..1 of their images, which differ in size."""
    refs, boxes, *_ = count_tags(message["content"] for message in row["messages"][:-1])
    skipped_refs, skipped_boxes, *_ = count_tags(message["content"] for message in other["messages"][:-1])
    asked, answered = relative_objects(row), relative_objects(other)
    last = max(len(row.get("images") or []) - 1, 0)
    return {
        "ref": asked["ref"][:refs] + answered["ref"][skipped_refs:],
        "bbox": asked["bbox"][:boxes] + answered["bbox"][skipped_boxes:],
        "bbox_type": "norm1",
        "image_id": asked["image_id"][:boxes] + [min(image_id, last) for image_id in answered["image_id"][skipped_boxes:]],
    }


def relative_objects(row: dict[str, Any]) -> dict[str, Any]:
    """`ref`, `bbox` in 0..1 and `image_id` of a row, each a list."""
    objects = row.get("objects") or {}
    boxes = objects.get("bbox") or []
    image_ids = objects.get("image_id") or [0] * len(boxes)
    if objects.get("bbox_type") != "norm1":
        sizes = {image_id: size_of_image(row, image_id) for image_id in set(image_ids)}
        boxes = [[value / side for value, side in zip(box, sizes[i] * 2, strict=False)] for box, i in zip(boxes, image_ids, strict=True)]
    return {"ref": list(objects.get("ref") or []), "bbox": boxes, "image_id": list(image_ids)}


def size_of_image(row: dict[str, Any], image_id: int) -> tuple[int, int]:
    """(width, height) in px of an image of a row: the row's own `size_wh` where it has one image."""
    images = row.get("images") or []
    if len(images) == 1 and row.get("size_wh"):
        return tuple(row["size_wh"])
    return read_size_wh(images[image_id]["path"])[0]


@patch("do_sample", VanillaSampler)
def keep_sampled_objects(do_sample: Callable[..., Any], self: VanillaSampler, data: dict[str, Any]) -> list[str]:
    """`swift sample` without the objects that only the true answer named, which the sampled answers replace."""
    return [json.dumps(with_own_objects(json.loads(line)), ensure_ascii=False) + "\n" for line in do_sample(self, data)]


def with_own_objects(row: dict[str, Any]) -> dict[str, Any]:
    """A sampled row with as many objects as its messages have placeholders; none: without `objects`."""
    objects = row.get("objects")
    if not objects:
        return row
    refs, boxes, *_ = count_tags(message["content"] for message in row["messages"])
    kept = {"ref": (objects.get("ref") or [])[:refs], "bbox": (objects.get("bbox") or [])[:boxes]}
    if image_ids := objects.get("image_id"):
        kept["image_id"] = image_ids[:boxes]
    return row | {"objects": objects | kept if refs or boxes else None}
