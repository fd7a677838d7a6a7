"""The processor of the stand-in: slices of an image and their marks. The count of slices is MiniCPM-V's, their pixels are few."""

import math

import numpy as np
import torch
from transformers import BaseImageProcessor, BatchFeature, ProcessorMixin

RESOLUTION = 448  # of a slice for the count of slices, px
SIDE, PATCH = 28, 14  # of a slice as the model of the stand-in sees it, and of its patches, px
QUERIES = 64  # tokens a slice


class Features(BatchFeature):
    """Lists of tensors, one a row."""

    def to(self, dtype):
        """Images in this type; counts as they are."""
        self["pixel_values"] = [[pixels.to(dtype) for pixels in row] for row in self["pixel_values"]]
        return self


class MiniCPMVImageProcessor(BaseImageProcessor):
    """`max_slice_nums`: the most slices of an image, besides the whole of it."""

    model_input_names = ["pixel_values"]

    def __init__(self, max_slice_nums=9, **kwargs):
        super().__init__(**kwargs)
        self.max_slice_nums = max_slice_nums

    def grid(self, size_wh, max_slice_nums=None):
        """(columns, rows) of an image's slices; None where the whole of it is enough."""
        wanted = min(math.ceil(size_wh[0] * size_wh[1] / RESOLUTION**2), max_slice_nums or self.max_slice_nums)
        if wanted <= 1:
            return None
        shapes = [
            (columns, number // columns)
            for number in (wanted - 1, wanted, wanted + 1)
            if 1 < number <= (max_slice_nums or self.max_slice_nums)
            for columns in range(1, number + 1)
            if number % columns == 0
        ]
        aspect = math.log(size_wh[0] / size_wh[1])
        return min(shapes, key=lambda shape: abs(aspect - math.log(shape[0] / shape[1])))

    def __call__(self, images, return_tensors=None, max_slice_nums=None, **kwargs):
        """Rows of PIL images -> for each row: `pixel_values`, (3, SIDE, SIDE) in -1..1 for each slice; `tgt_sizes`, (slices, 2) patches;
        `image_sizes`, (width, height) px of each image; `temporal_ids`."""
        slices = [[pixels for image in row for pixels in self.slices(image, max_slice_nums)] for row in images]
        side = SIDE // PATCH
        return Features(
            {
                "pixel_values": slices,
                "tgt_sizes": [torch.full((len(row), 2), side) for row in slices],
                "image_sizes": [[image.size for image in row] for row in images],
                "temporal_ids": [[-1] * len(row) for row in images],
            }
        )

    def slices(self, image, max_slice_nums):
        """The whole image, and its slices row by row."""
        yield as_tensor(image.resize((SIDE, SIDE)))
        columns, rows = self.grid(image.size, max_slice_nums) or (0, 0)
        if columns:
            large = as_tensor(image.resize((columns * SIDE, rows * SIDE)))
            yield from large.unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE).permute(1, 2, 0, 3, 4).flatten(0, 1)

    def get_slice_image_placeholder(self, image_size, image_idx=0, max_slice_nums=None, use_image_id=True):
        """The text in the place of an image of this size."""
        unknown = "<unk>" * QUERIES
        columns, rows = self.grid(image_size, max_slice_nums) or (0, 0)
        number = f"<image_id>{image_idx}</image_id>" if use_image_id else ""
        return f"{number}<image>{unknown}</image>" + "\n".join([f"<slice>{unknown}</slice>" * columns] * rows)


def as_tensor(image):
    """(3, height, width) in -1..1."""
    return torch.from_numpy(np.array(image.convert("RGB"), dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1


class MiniCPMVProcessor(ProcessorMixin):
    """Image processor and tokenizer, which swift's template calls one by one."""

    attributes = ["image_processor", "tokenizer"]
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(self, image_processor, tokenizer, **kwargs):
        super().__init__(image_processor, tokenizer)
