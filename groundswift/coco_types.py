"""The records of COCO files: as they are read, strictly and leniently, as they are read in pieces, and as they are written.

Lenient, for exporters that write other types than the format names: ids and sizes as whole floats (1.0), `iscrowd` as false, true, 0.0 or
1.0. Text is never taken for a number, nor true for an id.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import msgspec


class CocoImage(msgspec.Struct, omit_defaults=True):
    """`width` and `height` in px of the upright image; `file_name` is relative to the folder of the images.

    Where a file need not state them (`read_coco(..., needs_images=False)`), no name is "" and no size 0 x 0. LVIS: `neg_category_ids` are
    classes that were checked and are absent, `not_exhaustive_category_ids` those of which not every object has a box; None elsewhere.
    """

    id: int
    file_name: str
    width: int
    height: int
    neg_category_ids: list[int] | None = None
    not_exhaustive_category_ids: list[int] | None = None


class CocoCategory(msgspec.Struct, omit_defaults=True):
    """A class and the name that prompts and answers call it by. LVIS: `frequency` r, c or f (rare, common, frequent)."""

    id: int
    name: str
    supercategory: Any = None
    frequency: Any = None


class CocoAnnotation(msgspec.Struct, gc=False):
    """`bbox` is xywh in original pixels, `annotation_problem` says what is wrong with it.

    `rotation`: degrees by which the object's own box was rotated; `bbox` is then the axis-aligned box of the rotated one. NaN: no angle.
    `ignore`: as in the file, true where the object is not to be scored.
    """

    image_id: int
    category_id: int
    bbox: list[float]
    id: int | None = None
    area: float | None = None
    iscrowd: int = 0
    ignore: Any = None
    rotation: float = msgspec.field(default=0.0, name="groundswift rotation")

    def where(self) -> str:
        return f"annotation {self.id}" if self.id is not None else f"an annotation of image {self.image_id}"


class CocoFile(msgspec.Struct):
    """What detection needs of an annotation file, in the file's order."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]


class Whole(int):
    """A whole number, written as one or as a float."""


class Mark(int):
    """0 or 1, also written as a float or as false and true."""


class LenientImage(msgspec.Struct):
    """An image that may be named by `coco_url` alone, as in LVIS."""

    id: Whole
    file_name: str | None | msgspec.UnsetType = msgspec.UNSET
    width: Whole | None | msgspec.UnsetType = msgspec.UNSET
    height: Whole | None | msgspec.UnsetType = msgspec.UNSET
    coco_url: Any = None
    neg_category_ids: list[Whole] | None = None
    not_exhaustive_category_ids: list[Whole] | None = None


def lenient(kind: type[msgspec.Struct], without: Container[str] = (), **types: Any) -> type[msgspec.Struct]:
    """A record with the fields of `kind` whose whole numbers may be written as floats; `types` of fields that differ otherwise."""
    fields = []
    for each in msgspec.structs.fields(kind):
        if each.name not in without:
            loose = types.get(each.name, {int: Whole, int | None: Whole | None}.get(each.type, each.type))
            fields.append((each.name, loose) if each.default is msgspec.NODEFAULT else (each.name, loose, each.default))
    return msgspec.defstruct(f"Lenient{kind.__name__.removeprefix('Coco')}", fields, module=__name__, gc=False)


LenientCategory = lenient(CocoCategory)
LenientAnnotation = lenient(CocoAnnotation, without=("rotation",), iscrowd=Mark)


class RotatedAnnotation(LenientAnnotation, gc=False):
    """An annotation whose `attributes` may hold a rotation; its `segmentation` shows whether `bbox` follows it already."""

    attributes: Any = None
    segmentation: Any = None


LenientFile, RotatedFile = (
    lenient(CocoFile, images=list[LenientImage], annotations=list[kind], categories=list[LenientCategory])
    for kind in (LenientAnnotation, RotatedAnnotation)
)


class PieceAnnotation(msgspec.Struct, gc=False):
    """A `CocoAnnotation` that fits into columns: with an id of its own and a box of four numbers. `attributes` may hold a rotation."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float | None = None
    iscrowd: int | float | bool = 0
    ignore: Any = None
    attributes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class OutImage(CocoImage, omit_defaults=True):
    """An image that is written. `sample_id`: of the rows of the image, where that is not `id`; a list where they have several."""

    sample_id: int | str | list[int | str] | None = None


class OutAnnotation(msgspec.Struct):
    """An annotation that is written; `bbox` is xywh in px, `area` that of the box."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    iscrowd: int = 0


class OutFile(msgspec.Struct):
    """A file that is written. pycocotools needs `info` and `licenses`."""

    images: list[OutImage]
    annotations: list[OutAnnotation]
    categories: list[CocoCategory]
    info: dict[str, str] = {}
    licenses: list[str] = []


class CocoResult(msgspec.Struct, gc=False):
    """One prediction of a result file; `bbox` is xywh in px. No key is optional in the format: None is a key that is missing."""

    image_id: int | float | None = None
    category_id: int | float | None = None
    bbox: list[float] | None = None
    score: float | None = None
