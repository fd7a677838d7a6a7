"""Templates that write boxes in each family's format: one mixin, joined to each of swift's templates in the table of families.

The mixin overrides only what swift offers for it: how an image is loaded, how boxes are normalised, how labels and boxes are written.
"""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from swift.template import MaxLengthError, TemplateMeta
from swift.template.templates.qwen import Qwen2VLTemplate
from swift.template.vision_utils import load_file
from swift.utils import get_logger

from groundswift.boxes import clipped
from groundswift.coordinates import from_original_px
from groundswift.errors import GroundswiftError, ImageMissing, ImageUnreadable, error_at
from groundswift.family import FAMILIES, Family, family_row, not_usable
from groundswift.grammars.base import Grammar
from groundswift.grammars.registry import grammar_of
from groundswift.image_depth import is_deep
from groundswift.images import OpenedImage, open_image, padded_to_square, read_size_wh, upright
from groundswift.pairing import WholeList, check_pairing, planned
from groundswift.records import BOX, REF, count_tags, whole
from groundswift.spaces import Space, quantum, space_row

from ..known_bad_versions import warn_bad_versions
from ..patches.lazy_images import LazyImage, wants_exact_pixels
from .box_loss import box_factors, box_ranges, token_ranges, with_aligned_scales
from .object_checks import check_counts, check_objects
from .overrides import SPECIAL, stock_meta
from .rlhf_rows import answers_hold_all_objects, borrows_objects, note_borrowed_objects, take_generated_text_literally

FAMILY_OF_TEMPLATE = {name: row.name for row in FAMILIES.values() for name in (*row.swift_templates, *row.templates)}
STOCK_OF_TEMPLATE = {  # our template -> (family, swift's own template that it is made from)
    name: (row.name, stock) for row in FAMILIES.values() for stock, name in zip(row.swift_templates, row.templates, strict=True)
}
PADDING = (122, 116, 104)  # the mean colour of CLIP's training images, with which LLaVA pads


class GroundingMixin:
    """Writes labels and boxes in the native text and declared space of `family`, and turns images upright (EXIF)."""

    family: str
    resizes_images = False  # whether the template resizes images, by `fetch_image` of qwen-vl-utils, and no processor behind it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row: Family = family_row(self.family)
        warn_bad_versions(self.family)
        self.grammar: Grammar = grammar_of(self.row.name)
        self.space: Space = space_row(self.row.space)
        if self.norm_bbox != type(self).norm_bbox:
            raise GroundswiftError(
                f"--norm_bbox {self.norm_bbox}: this template writes {self.row.space}, the space of {self.family}. Remove the option"
            )

    def _load_image(self, image: Any, load_images: bool) -> Any:
        """An upright RGB image, by our opener: swift's own ignores the orientation of some formats and clips 16 bits to 8.

        Where swift passes paths on, a local file that any opener decodes alike stays a path; others become images, which swift saves.
        Where the template itself resizes, the pixels are decoded then, as many as that takes.
        """
        source = image.get("bytes") or image.get("path") if isinstance(image, dict) else image
        quick = self.resizes_images and not wants_exact_pixels()
        if isinstance(source, str) and os.path.isfile(source):
            if load_images or not opens_upright(source):
                return LazyImage.of(OpenedImage(source)) if quick else open_image(source)
            return source
        found = fetched(source)
        return LazyImage.of(found) if quick else found.decode() if isinstance(found, OpenedImage) else found

    def _preprocess_inputs(self, inputs: Any) -> None:
        inputs.whole_lists = {}
        if inputs.objects:
            try:
                self._plan_answers(inputs)
            except GroundswiftError as error:
                sample_id = (inputs.extra_kwargs or {}).get("sample_id")
                raise (error if sample_id is None else error_at(f"sample_id {sample_id!r}", str(error), kind=type(error))) from None
        super()._preprocess_inputs(inputs)
        if self.space.side == "square":
            inputs.images = [padded_to_square(image, PADDING) for image in inputs.images or []]

    def _plan_answers(self, inputs: Any) -> None:
        """Check that placeholders and objects match, and reduce every list that is written whole to its first placeholder."""
        if not inputs.images:
            raise GroundswiftError("objects without an image: add the image that the boxes belong to")
        check_objects(inputs.objects, len(inputs.images))
        if len(inputs.messages) > 2 and not self.template_meta.support_multi_round:  # swift drops them, and boxes would move up
            name = self.template_meta.template_type
            raise GroundswiftError(f"{len(inputs.messages)} messages; template {name} takes one question and one answer")
        take_generated_text_literally(inputs, self.tokenizer)
        messages = [message for message in inputs.messages if isinstance(message.get("content"), str)]
        turns = [("system", inputs.system or ""), *((message["role"], message["content"]) for message in messages)]
        contents, objects = [text for _, text in turns], inputs.objects
        refs, boxes = len(objects.get("ref") or []), len(objects["bbox"])
        check_counts(contents, refs, boxes, exact=self.is_training and answers_hold_all_objects(inputs))
        check_pairing(turns, refs, boxes)
        shown = 0 if borrows_objects(inputs) else boxes
        contents, inputs.whole_lists = planned(turns, shown, self.grammar.whole_answer, self.row.empty_answer)
        inputs.system = contents[0] if inputs.system else inputs.system
        for message, text in zip(messages, contents[1:], strict=True):
            message["content"] = text

    def _encode_truncated(self, inputs: Any) -> dict[str, Any]:
        """swift truncates a row that is too long between any two tokens. One with boxes is refused, as by the strategy `delete`."""
        if self.truncation_strategy not in ("left", "right") or not count_tags(texts_of(inputs)).boxes:
            return with_aligned_scales(super()._encode_truncated(inputs), self.loss_scale)
        strict = object.__new__(type(self))
        strict.__dict__ = self.__dict__ | {"truncation_strategy": "raise"}
        try:
            return with_aligned_scales(strict._encode_truncated(inputs), self.loss_scale)
        except MaxLengthError as error:
            raise MaxLengthError(f"{error} --truncation_strategy {self.truncation_strategy} would truncate its boxes") from None

    def _rlhf_encode(self, inputs: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        note_borrowed_objects(inputs)
        return super()._rlhf_encode(inputs, *args, **kwargs)

    def normalize_bbox(self, inputs: Any) -> None:
        """Boxes and points of `objects.bbox`, from original pixels (or 0..1 for `norm1`) to what the family writes.

        swift comes here twice for models with an encoder, once for the question and once for the answer.
        """
        objects = inputs.objects
        if objects.get("written"):
            return
        bbox_type = objects.pop("bbox_type", None) or "real"
        image_ids = objects.pop("image_id", None) or [0] * len(objects["bbox"])
        written = []
        for box, image_id in zip(objects["bbox"], image_ids, strict=True):
            size_wh = (objects["width"][image_id], objects["height"][image_id])
            resized = inputs.images[image_id]
            resized_wh = (resized.width, resized.height) if self.space.side == "resized" else None
            written.append(self._written(box, size_wh, resized_wh, bbox_type))
        objects["bbox"], objects["written"] = written, True

    def _written(self, box: list[float], size_wh: tuple[int, int], resized_wh: tuple[int, int] | None, bbox_type: str) -> list[float]:
        """One box (4 numbers) or point (2) in the family's units. `resized_wh`: the size of the image as swift resized it."""
        if len(box) == 2 and not self.row.points:
            raise GroundswiftError(f"point {box}: family {self.family} writes boxes only")
        px = [value * side for value, side in zip(box, size_wh * 2, strict=False)] if bbox_type == "norm1" else box
        corners = np.array([px if len(px) == 4 else px * 2], dtype=np.float64)
        half = quantum(self.space, size_wh, resized_wh) / 2
        if (corners.reshape(2, 2) < -half).any() or (corners.reshape(2, 2) > np.array(size_wh) + half).any():
            raise GroundswiftError(f"box {box} is outside its image of {size_wh[0]}x{size_wh[1]} px: clip it, as converters do")
        values = from_original_px(clipped(corners, size_wh), self.family, size_wh, resized_wh)[0]
        return [whole(value) for value in values[: len(box)].tolist()]

    def _encode_context_list(self, context_list: list[Any], loss_scale_list: list[float] | None = None) -> tuple[Any, Any, Any]:
        """swift's, with the weight of boxes (`--loss_scale box:2`) multiplied into the weights of their tokens."""
        ids, labels, scales = super()._encode_context_list(context_list, loss_scale_list)
        weight = getattr(self.loss_scale, "box_weight", None)
        if weight is None or scales is None or not any(loss_scale_list or []):
            return ids, labels, scales
        factors: list[float] = []
        for context, scale in zip(context_list, loss_scale_list, strict=True):
            own = self._tokenize(context) if isinstance(context, str) else context
            boxes = box_ranges(context, self.grammar, self.space.largest) if isinstance(context, str) and scale > 0 else []
            factors += box_factors(token_ranges(self.tokenizer, context, own), boxes, weight) if boxes else [1.0] * len(own)
        return ids, labels, [scale * factor for scale, factor in zip(scales, factors, strict=True)]

    def replace_ref(self, ref: str, index: int, inputs: Any) -> list[str]:
        whole = inputs.whole_lists.get((REF, index))
        if whole is None:
            return [self.grammar.write_label(ref)]
        inputs.ref_idx += whole.refs - 1  # swift itself advances by the one remaining placeholder
        inputs.bbox_idx += len(whole.ref_of_box)
        return [self._write_whole(whole, inputs)]

    def replace_bbox(self, bbox: list[float], index: int, inputs: Any) -> list[str]:
        whole = inputs.whole_lists.get((BOX, index))
        if whole is None:
            return [self.grammar.write_box(bbox)]
        inputs.bbox_idx += len(whole.ref_of_box) - 1
        return [self._write_whole(whole, inputs)]

    def _write_whole(self, whole: WholeList, inputs: Any) -> str:
        return self.grammar.format(whole.located(inputs.objects.get("ref") or [], inputs.objects["bbox"]))


def texts_of(inputs: Any) -> list[str]:
    """The texts of a conversation; answers that were generated as tokens have none."""
    return [message["content"] for message in inputs.messages if isinstance(message.get("content"), str)]


def opens_upright(path: str) -> bool:
    """Whether any opener decodes a local image as ours does: no EXIF orientation, and no more than 8 bits a channel."""
    if read_size_wh(path)[1] != 1:
        return False
    with Image.open(path) as image:
        return not is_deep(image.mode)


def fetched(source: Any) -> OpenedImage | Image.Image:
    """An image from what swift takes besides local paths: a URL, base64, bytes, a path below ROOT_IMAGE_DIR, an image.

    Of an encoded one only the header has been read.
    """
    where = source[:80] if isinstance(source, str) else "<bytes>"
    try:
        opened = load_file(source)
        return OpenedImage(opened.getvalue(), where) if isinstance(opened, BytesIO) else upright(opened)
    except (GroundswiftError, ValueError) as error:
        if isinstance(source, str) and names_missing_file(source):
            raise error_at(where, "no such image", kind=ImageMissing) from None
        what = str(error).removeprefix("<bytes>: ").removeprefix(f"{where}: ")
        expected = "" if "expected" in what else "a file, a URL, or base64 of an image"
        raise error_at(where, what, expected, type(error) if isinstance(error, GroundswiftError) else ImageUnreadable) from None
    except FileNotFoundError:
        raise error_at(where, "no such image", kind=ImageMissing) from None


def names_missing_file(source: str) -> bool:
    """Whether a text is the path of a missing file, not a URL or base64, which has no dot."""
    path = os.path.join(os.environ.get("ROOT_IMAGE_DIR", ""), source)
    return "." in os.path.basename(source) and "://" not in source and not source.startswith("data:") and not os.path.exists(path)


def template_metas() -> list[TemplateMeta]:
    """One for each of swift's templates in the table of families: swift's own description under the grounding name.

    Families of other packages that cannot be used are warned of.
    """
    metas = []
    for problem in not_usable():
        get_logger().warning(problem)
    for name, (family, stock) in STOCK_OF_TEMPLATE.items():
        meta = stock_meta(stock, family)
        meta.template_type, meta.template_cls = name, template_class(name)
        metas.append(meta)
    return metas


def template_class(name: str) -> type:
    """Our template class of a name such as `qwen2_vl_grounding`, made once a process and kept as an attribute of this module."""
    made = globals().get(name)
    if made is None:
        family, stock = STOCK_OF_TEMPLATE[name]
        stock_cls = stock_meta(stock, family).template_cls
        classes = (GroundingMixin, *SPECIAL.get(stock, ()), stock_cls)
        resizes = getattr(stock_cls, "replace_tag", None) is Qwen2VLTemplate.replace_tag
        made = globals()[name] = type(name, classes, {"family": family, "resizes_images": resizes, "__module__": __name__})
    return made


def __getattr__(name: str) -> type:
    """A spawned process unpickles templates before it loads the plugin, and looks up their classes by name."""
    if name in STOCK_OF_TEMPLATE:
        return template_class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def family_of(template: Any) -> str:
    """The family whose text a template writes. Raises GroundswiftError for a template that the table does not have."""
    name = template.template_meta.template_type
    if name not in FAMILY_OF_TEMPLATE:
        known = ", ".join(sorted(FAMILY_OF_TEMPLATE))
        raise GroundswiftError(f"template {name} has no family that writes boxes; expected one of {known}")
    return FAMILY_OF_TEMPLATE[name]
