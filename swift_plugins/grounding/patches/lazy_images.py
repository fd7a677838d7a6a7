"""Images that are decoded when they are resized, and resized by torch: what Qwen's templates do with an image, in half of the time.

swift loads an image, may rescale it (`--max_pixels`), and lets qwen-vl-utils resize it. Here the file is decoded at that second or third
step, when its size is known: a large JPEG at reduced size. torch resizes 8-bit images several times as fast as Pillow, with the same
filters; values differ by at most 2 of 255. Sizes, tokens and boxes are the same.

GROUNDSWIFT_EXACT_PIXELS=1 decodes and resizes as swift does, to the last bit.

Images and videos in object stores (`s3://`, ...) are copied to local files first: ms-swift 4.6.0 opens local paths, HTTP URLs and base64.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from swift.template import Template
from torchvision.transforms.v2 import functional
from transformers import BatchFeature
from transformers.models.qwen2_vl import Qwen2VLImageProcessor

from groundswift.images import OpenedImage
from groundswift.storage import local_copy
from groundswift.urls import is_url

from .wrap_once import patch

EXACT = "GROUNDSWIFT_EXACT_PIXELS"
FILTERS = {
    Image.Resampling.BICUBIC: functional.InterpolationMode.BICUBIC,
    Image.Resampling.BILINEAR: functional.InterpolationMode.BILINEAR,
}
SCALING = ("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")
VECTORS = ("AVX2", "AVX512")  # without them torch is slower at it than Pillow


def wants_exact_pixels() -> bool:
    """Whether images are to be decoded and resized as swift does."""
    return os.environ.get(EXACT, "").lower() in ("1", "true", "yes")


class LazyImage(Image.Image):
    """An upright RGB image whose pixels are decoded when they are needed, for a `resize` only as many as that takes.

    Its size is that of the whole image from the start. Copies and pickles of it are ordinary images.
    """

    _unloaded: OpenedImage | np.ndarray | None = None  # what `load` makes the pixels of
    _kept: np.ndarray | None = None  # arrays of the image may share its memory, for as long as it lives

    @classmethod
    def of(cls, source: OpenedImage | Image.Image | np.ndarray) -> LazyImage:
        """From a file whose header has been read, from an upright RGB image, or from pixels (height x width x 3, 8 bits)."""
        made = cls()
        made._mode = "RGB"
        if isinstance(source, OpenedImage):
            made._size, made._unloaded = source.size_wh, source
        elif isinstance(source, np.ndarray):
            made._size, made._unloaded, made._kept = source.shape[1::-1], source, source
        else:
            made._size, made.im = source.size, source.im
        return made

    def load(self) -> Any:
        """Decode the whole image, once."""
        if self._unloaded is not None:
            source, self._unloaded = self._unloaded, None
            self.im = (Image.fromarray(source) if isinstance(source, np.ndarray) else source.decode()).im
        return super().load()

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Pixels, read-only, without a copy where they are an array already."""
        if not isinstance(self._unloaded, np.ndarray):
            return super().__array_interface__
        interface = self._unloaded.__array_interface__
        return interface | {"data": (interface["data"][0], True)}

    def convert(self, mode: str | None = None, *args: Any, **kwargs: Any) -> Image.Image:
        return self if mode == "RGB" and not args and not kwargs else super().convert(mode, *args, **kwargs)

    def resize(self, size: tuple[int, int], resample: int | None = None, *args: Any, **kwargs: Any) -> Image.Image:
        resample = Image.Resampling.BICUBIC if resample is None else resample
        if args or kwargs or resample not in FILTERS:
            return super().resize(size, resample, *args, **kwargs)
        whole = self._unloaded.decode(tuple(size)) if isinstance(self._unloaded, OpenedImage) else self
        made = resized(whole, tuple(size), resample)
        return made if isinstance(made, LazyImage) else LazyImage.of(made)

    def __reduce__(self) -> tuple[Any, ...]:
        return Image.frombytes, (self.mode, self.size, self.tobytes())


def resized(image: Image.Image, size_wh: tuple[int, int], resample: int) -> Image.Image:
    """An RGB image in another size in px, by torch where that is faster. The same image where it has the size."""
    if image.size == size_wh:
        return image
    if torch.backends.cpu.get_cpu_capability() not in VECTORS or min(size_wh) < 1:  # Pillow raises an error with the reason
        return Image.Image.resize(image, size_wh, resample)
    pixels = functional.resize(functional.pil_to_tensor(image), list(size_wh[::-1]), FILTERS[resample], antialias=True)
    return LazyImage.of(pixels.permute(1, 2, 0).contiguous().numpy())


@patch("_preprocess", Qwen2VLImageProcessor)
def normalise_after_patching(
    preprocess: Callable[..., BatchFeature], self: Qwen2VLImageProcessor, images: list[torch.Tensor], *args: Any, **kwargs: Any
) -> BatchFeature:
    """Qwen's processor normalises an image, and then sorts its 32-bit values into patches, each twice over for the two frames of a patch.
    Here the 8-bit values are sorted, normalised and then doubled: fewer bytes are moved, and the result is the same to the last bit."""
    scaling = {name: kwargs.get(name) for name in SCALING}
    if args or not scaling["do_normalize"] or any(image.dtype != torch.uint8 for image in images):
        return preprocess(self, images, *args, **kwargs)
    planes = [image.contiguous() for image in images]
    result = preprocess(self, planes, **kwargs | {"do_rescale": False, "do_normalize": False, "temporal_patch_size": 1})
    patches = result["pixel_values"]
    colours = patches.view(len(patches), len(scaling["image_mean"]), 1, -1)  # patches x colours x frames x values of a colour
    frames = self.rescale_and_normalize(colours, **scaling).expand(-1, -1, kwargs["temporal_patch_size"], -1)
    result["pixel_values"] = frames.reshape(len(patches), -1)
    return result


@patch("_preprocess_inputs", Template)
def fetch_remote_media(preprocess: Callable[..., None], self: Template, inputs: Any) -> None:
    """Copy images and videos of other stores to local files before swift opens them."""
    for name in ("images", "videos"):
        setattr(inputs, name, [fetched(source) for source in getattr(inputs, name) or []])
    preprocess(self, inputs)


def fetched(source: Any) -> Any:
    """The path of a local copy where a source is a URL that swift cannot open; any other source as it is."""
    place = source.get("path") if isinstance(source, dict) and not source.get("bytes") else source
    return str(local_copy(place)) if is_url(place) and not place.startswith("http") else source
