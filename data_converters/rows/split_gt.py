"""The ground truth of each part of a split: a COCO file with the images of its rows and their annotations, all else unchanged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from groundswift.coco_file import repeated
from groundswift.errors import GroundswiftError, error_at
from groundswift.storage import local_copy
from groundswift.urls import shown

from ..file_io.mmap_json import NOT_JSON

EXPECTED = "a COCO file with images and annotations"


class _Image(msgspec.Struct):
    id: int | float | str


class _Annotation(msgspec.Struct):
    image_id: int | float | str


class _Row(msgspec.Struct):
    sample_id: int | float | str | None = None


class GroundTruthParts:
    """A COCO file whose images are assigned to parts by their rows. Entries are copied unchanged, including unknown keys."""

    def __init__(self, path: str, names: Sequence[str]) -> None:
        """`names` of the parts, in order. Raises GroundswiftError if the file cannot be read or has duplicate image ids."""
        self.path, self.names = shown(path), names
        try:
            self.content = msgspec.json.decode(local_copy(path).read_bytes(), type=dict[str, msgspec.Raw])
            images, annotations = (msgspec.json.decode(self.content[key], type=list[msgspec.Raw]) for key in ("images", "annotations"))
            self.images = [(key_of(msgspec.json.decode(raw, type=_Image).id), raw) for raw in images]
            self.annotations = [(key_of(msgspec.json.decode(raw, type=_Annotation).image_id), raw) for raw in annotations]
        except KeyError as error:
            raise error_at(self.path, f"no {error}", EXPECTED) from None
        except OSError as error:
            raise error_at(self.path, f"cannot be read ({error.strerror})", EXPECTED) from None
        except NOT_JSON as error:
            raise error_at(self.path, str(error), EXPECTED) from None
        if twice := repeated(key for key, _ in self.images):
            raise error_at(self.path, f"duplicate image id {twice[0]}", "each once")
        self.part_of: dict[str, int | None] = {key: None for key, _ in self.images}

    def assign(self, line: bytes, part: int, where: str) -> None:
        """Put the image of a row into the row's part. Raises GroundswiftError if the row has no image here, or one of another part."""
        sample_id = msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"), type=_Row).sample_id
        key = None if sample_id is None else key_of(sample_id)
        if key not in self.part_of:
            raise error_at(where, f"sample_id {sample_id!r} is not an image id of {self.path}", "rows that were converted from this file")
        before = self.part_of[key]
        if before not in (None, part):
            what = f"rows of sample_id {sample_id!r} have different images and are in {self.names[before]} and {self.names[part]}"
            raise error_at(where, what, "one image for each id")
        self.part_of[key] = part

    def chunks(self, part: int) -> Iterator[bytes]:
        """The COCO file of a part, piece by piece."""
        for number, (key, value) in enumerate(self.content.items()):
            yield (b"," if number else b"{") + msgspec.json.encode(key) + b":"
            entries = {"images": self.images, "annotations": self.annotations}.get(key)
            if entries is None:
                yield bytes(value)
                continue
            kept = (bytes(raw) for image, raw in entries if self.part_of.get(image) == part)
            yield b"["
            yield from (b",\n" + raw if index else raw for index, raw in enumerate(kept))
            yield b"]"
        yield b"}\n"

    def counts(self) -> tuple[list[tuple[int, int]], int]:
        """((images, annotations) of each part's file, number of images without a row, which are in no part)."""
        images = Counter(self.part_of.values())
        annotations = Counter(self.part_of.get(image) for image, _ in self.annotations)
        return [(images[part], annotations[part]) for part in range(len(self.names))], images[None]


def key_of(value: int | float | str) -> str:
    """An image id as text: 7, 7.0 and "7" are one id, as they are for the evaluator."""
    if isinstance(value, float):
        if not value.is_integer():
            raise GroundswiftError(f"id {value!r}; expected a whole number or text")
        value = int(value)
    return str(value)
