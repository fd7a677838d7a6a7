"""Images that are decoded when they are resized, and resized by torch: what Qwen's templates do with an image, in half of the time.

swift loads an image, may rescale it (`--max_pixels`), and lets qwen-vl-utils resize it. Here the file is decoded at that second or third
step, when its size is known: a large JPEG at reduced size. torch resizes 8-bit images several times as fast as Pillow, with the same
filters; values differ by at most 2 of 255. Sizes, tokens and boxes are the same.

GROUNDSWIFT_EXACT_PIXELS=1 decodes and resizes as swift does, to the last bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torchvision.transforms.v2 import functional
from transformers.models.qwen2_vl import Qwen2VLImageProcessor

from groundswift.images import OpenedImage

from .mends import wrap_once

EXACT = "GROUNDSWIFT_EXACT_PIXELS"
FILTERS = {
    Image.Resampling.BICUBIC: functional.InterpolationMode.BICUBIC,
    Image.Resampling.BILINEAR: functional.InterpolationMode.BILINEAR,
}
VECTORS = ("AVX2", "AVX512")  # without them torch is slower at it than Pillow


def exact_pixels() -> bool:
    """Whether images are to be decoded and resized as swift does."""
    return os.environ.get(EXACT, "").lower() in ("1", "true", "yes")


class QuickImage(Image.Image):
    """An upright RGB image whose pixels are decoded when they are needed, for a `resize` only as many as that takes.

    Its size is that of the whole image from the start. Copies and pickles of it are ordinary images.
    """

    _opened: OpenedImage | None = None

    @classmethod
    def of(cls, source: OpenedImage | Image.Image) -> QuickImage:
        """From a file whose header has been read, or from an upright RGB image."""
        made = cls()
        made._mode = "RGB"
        if isinstance(source, OpenedImage):
            made._size, made._opened = source.size_wh, source
        else:
            made._size, made.im = source.size, source.im
        return made

    def load(self) -> Any:
        """Decode the whole image, once."""
        if self._opened is not None:
            self.im, self._opened = self._opened.decode().im, None
        return super().load()

    def convert(self, mode: str | None = None, *args: Any, **kwargs: Any) -> Image.Image:
        return self if mode == "RGB" and not args and not kwargs else super().convert(mode, *args, **kwargs)

    def resize(self, size: tuple[int, int], resample: int | None = None, *args: Any, **kwargs: Any) -> Image.Image:
        resample = Image.Resampling.BICUBIC if resample is None else resample
        if args or kwargs or resample not in FILTERS:
            return super().resize(size, resample, *args, **kwargs)
        whole = self if self._opened is None else self._opened.decode(tuple(size))
        return QuickImage.of(resized(whole, tuple(size), resample))

    def __reduce__(self) -> tuple[Any, ...]:
        return Image.frombytes, (self.mode, self.size, self.tobytes())


def resized(image: Image.Image, size_wh: tuple[int, int], resample: int) -> Image.Image:
    """An RGB image in another size in px, by torch where that is faster. The same image where it has the size."""
    if image.size == size_wh:
        return image
    if torch.backends.cpu.get_cpu_capability() not in VECTORS or min(size_wh) < 1:  # Pillow says in words what is wrong with that
        return Image.Image.resize(image, size_wh, resample)
    pixels = functional.resize(functional.pil_to_tensor(image), list(size_wh[::-1]), FILTERS[resample], antialias=True)
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


def normalise_planes() -> None:
    """An image comes to Qwen's processor as one plane of three interleaved colours; each step after that is twice as fast on three planes,
    with the same result."""

    def on_planes(rescale_and_normalize: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def of_planes(self: Qwen2VLImageProcessor, images: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            return rescale_and_normalize(self, images.contiguous(), *args, **kwargs)

        return of_planes

    wrap_once(Qwen2VLImageProcessor, "rescale_and_normalize", on_planes)
