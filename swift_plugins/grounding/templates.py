"""Templates that write boxes as the table of families says: one mixin, and a class a family that joins it to swift's own template.

The mixin overrides only what swift offers for it: how an image is loaded, how boxes are normalised, how labels and boxes are written.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from PIL import Image
from swift.template import Template, TemplateMeta
from swift.template.register import TEMPLATE_MAPPING
from swift.template.templates.qwen import Qwen2_5VLTemplate, Qwen2VLTemplate, Qwen3VLTemplate

from groundswift.errors import GroundswiftError
from groundswift.family import FAMILIES, Family, family_row
from groundswift.grammars import GRAMMARS, Grammar
from groundswift.images import upright
from groundswift.located import Located
from groundswift.spaces import from_original_px, units_per_side

from .messages import WholeAnswer, check_counts, count_tags, is_empty_answer, whole_answer

FAMILY_OF_TEMPLATE = {name: row.name for row in FAMILIES.values() for name in (row.swift_model_type, row.swift_template)}
NORM_BBOX = {"norm1000": "norm1000", "resized_px": "none"}  # what swift calls these spaces


class GroundingMixin:
    """Writes labels and boxes in the native text and declared space of `family`, and turns images upright (EXIF)."""

    family: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row: Family = family_row(self.family)
        self.grammar: Grammar = GRAMMARS[self.row.grammar]
        if self.norm_bbox != NORM_BBOX[self.row.space]:
            raise GroundswiftError(
                f"--norm_bbox {self.norm_bbox}: template {self.row.swift_template} writes {self.row.space}, the space of {self.family}; "
                "leave the option out"
            )

    @staticmethod
    def _load_image(image: Any, load_images: bool) -> Any:
        loaded = Template._load_image(image, load_images)
        return upright(loaded) if isinstance(loaded, Image.Image) else loaded

    def _preprocess_inputs(self, inputs: Any) -> None:
        inputs.whole_answers = {}
        if inputs.objects:
            self._plan_answers(inputs)
        super()._preprocess_inputs(inputs)

    def _plan_answers(self, inputs: Any) -> None:
        """Check that placeholders and objects match, and reduce every answer that is written whole to its first placeholder."""
        if not inputs.images:
            raise GroundswiftError("objects without an image; expected the image that the boxes belong to")
        messages = [message for message in inputs.messages if isinstance(message.get("content"), str)]
        contents = [inputs.system or "", *(message["content"] for message in messages)]
        objects = inputs.objects
        if inputs.messages and inputs.messages[-1]["role"] == "assistant" and inputs.messages[-1]["content"] is not None:
            check_counts(contents, len(objects.get("ref") or []), len(objects["bbox"]))  # at inference the answer is not there yet
        refs, boxes = count_tags(contents[:1])
        for message in messages:
            more_refs, more_boxes = count_tags([message["content"]])
            if message["role"] == "assistant":
                if not objects["bbox"] and is_empty_answer(message["content"]):
                    message["content"] = self.row.empty_answer
                answer = whole_answer(message["content"], refs, boxes) if self.grammar.whole_answer else None
                if answer is not None:
                    message["content"] = "<ref-object>" if answer.refs else "<bbox>"
                    inputs.whole_answers["ref", refs] = inputs.whole_answers["box", boxes] = answer
            refs, boxes = refs + more_refs, boxes + more_boxes

    def normalize_bbox(self, inputs: Any) -> None:
        """Boxes and points of `objects.bbox`, from original pixels (or 0..1 for `norm1`) to what the family writes."""
        objects = inputs.objects
        bbox_type = objects.pop("bbox_type", None) or "real"
        if bbox_type not in ("real", "norm1"):
            raise GroundswiftError(f"bbox_type {bbox_type!r}; expected real (original pixels) or norm1 (0 to 1)")
        image_ids = objects.pop("image_id", None) or []
        image_ids = [*image_ids, *[0] * (len(objects["bbox"]) - len(image_ids))]
        written = []
        for box, image_id in zip(objects["bbox"], image_ids, strict=True):
            size_wh = (objects["width"][image_id], objects["height"][image_id])
            written.append(self._written(box, size_wh, inputs.images[image_id], bbox_type))
        objects["bbox"] = written

    def _written(self, box: list[float], size_wh: tuple[int, int], fed: Image.Image, bbox_type: str) -> list[int]:
        """One box (4 numbers) or point (2) in the family's units. `fed`: the picture as swift resized it."""
        if len(box) not in (2, 4):
            raise GroundswiftError(f"a box with {len(box)} numbers; expected x1, y1, x2, y2, or x, y for a point")
        corners = [value * side for value, side in zip(box, size_wh * 2, strict=False)] if bbox_type == "norm1" else box
        resized_wh = (fed.width, fed.height)
        values = from_original_px([corners if len(box) == 4 else corners * 2], self.family, size_wh, resized_wh)[0]
        units = units_per_side(self.family, size_wh, resized_wh)
        if (values < 0).any() or (values.reshape(2, 2) > units).any():
            raise GroundswiftError(f"box {box} lies outside its image of {size_wh[0]}x{size_wh[1]} px; clip it (converters do)")
        return [int(value) for value in values[: len(box)]]

    def replace_ref(self, ref: str, index: int, inputs: Any) -> list[str]:
        answer = inputs.whole_answers.get(("ref", index))
        if answer is None or not answer.refs:
            return [self.grammar.write_label(ref)]
        inputs.ref_idx += answer.refs - 1  # swift itself moves on by the one placeholder that is left
        inputs.bbox_idx += len(answer.ref_of_box)
        return [self._write_whole(answer, inputs)]

    def replace_bbox(self, bbox: list[int], index: int, inputs: Any) -> list[str]:
        answer = inputs.whole_answers.get(("box", index))
        if answer is None or answer.refs:
            return [self.grammar.write_box(bbox)]
        inputs.bbox_idx += len(answer.ref_of_box) - 1
        return [self._write_whole(answer, inputs)]

    def _write_whole(self, answer: WholeAnswer, inputs: Any) -> str:
        located = []
        for box_index, ref_index in answer.ref_of_box:
            numbers = tuple(inputs.objects["bbox"][box_index])
            label = "" if ref_index is None else inputs.objects["ref"][ref_index]
            located.append(Located(label, numbers, None) if len(numbers) == 4 else Located(label, None, numbers))
        return self.grammar.format(located)


class Qwen2VLGroundingTemplate(GroundingMixin, Qwen2VLTemplate):
    """Marks around boxes of 0 to 1000."""

    family = "qwen2_vl"


class Qwen2_5VLGroundingTemplate(GroundingMixin, Qwen2_5VLTemplate):
    """JSON with boxes in pixels of the resized image."""

    family = "qwen2_5_vl"


class Qwen3VLGroundingTemplate(GroundingMixin, Qwen3VLTemplate):
    """JSON with boxes of 0 to 1000."""

    family = "qwen3_vl"


def template_metas() -> list[TemplateMeta]:
    """One per class: swift's own description of the stock template under the family's grounding name."""
    metas = []
    for template_cls in (Qwen2VLGroundingTemplate, Qwen2_5VLGroundingTemplate, Qwen3VLGroundingTemplate):
        row = family_row(template_cls.family)
        meta = copy(TEMPLATE_MAPPING[row.swift_model_type])
        meta.template_type, meta.template_cls = row.swift_template, template_cls
        metas.append(meta)
    return metas


def family_of(template: Any) -> str:
    """The family whose text a template writes. Raises GroundswiftError for a template that the table does not have."""
    name = template.template_meta.template_type
    if name not in FAMILY_OF_TEMPLATE:
        known = ", ".join(sorted(FAMILY_OF_TEMPLATE))
        raise GroundswiftError(f"how template {name} writes boxes is not in the table of families; expected one of {known}")
    return FAMILY_OF_TEMPLATE[name]
