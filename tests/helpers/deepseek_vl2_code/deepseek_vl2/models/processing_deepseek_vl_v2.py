"""The processor of the stand-in: tiles of an image, how many tokens they have, and batches that are padded on the left."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from transformers import ProcessorMixin

SIDE, CELLS = 56, 2  # of a tile: px, and tokens along a side
MOST_TILES = 9


@dataclass
class VLChatProcessorOutput:
    """One row: ids (length,), whether each is of an image (length,), `images` (tiles, 3, SIDE, SIDE), `images_spatial_crop` (images, 2)
    columns and rows of tiles."""

    sft_format: Any
    input_ids: torch.Tensor
    target_ids: torch.Tensor
    images: torch.Tensor
    images_seq_mask: torch.Tensor
    images_spatial_crop: torch.Tensor
    num_image_tokens: list[int]


@dataclass
class BatchCollateOutput:
    """A batch of rows, which `dict()` takes apart."""

    input_ids: torch.Tensor
    images: torch.Tensor
    images_seq_mask: torch.Tensor
    images_spatial_crop: torch.Tensor

    def keys(self):
        """Names of the parts."""
        return [field.name for field in fields(self)]

    def __getitem__(self, name):
        return getattr(self, name)


class DeepseekVLV2Processor(ProcessorMixin):
    """A tokenizer, with what its template asks for besides."""

    attributes = ["tokenizer"]
    tokenizer_class = "AutoTokenizer"

    def __init__(self, tokenizer, **kwargs):
        super().__init__(tokenizer)
        self.image_token_id = tokenizer.convert_tokens_to_ids("<image>")

    def tokenize_with_images(self, conversation, images, bos=True, eos=True, cropping=True):
        """(None, tiles (3, SIDE, SIDE) of all images, None, columns and rows of each image, tokens of each image)."""
        grids = [grid(image.size) if cropping else (1, 1) for image in images]
        tiles = [tile for image, shape in zip(images, grids, strict=True) for tile in tiles_of(image, shape)]
        return None, tiles, None, [list(shape) for shape in grids], [tokens_of(shape) for shape in grids]

    def batchify(self, sample_list):
        """Rows to a batch, padded on the left as the repository does it."""
        length = max(len(row.input_ids) for row in sample_list)
        tiles = max(len(row.images) for row in sample_list)
        images = max(len(row.images_spatial_crop) for row in sample_list)

        def left(values, filler):
            return torch.cat([values.new_full((length - len(values),), filler), values])

        def below(values, count):
            return torch.cat([values, values.new_zeros((count - len(values), *values.shape[1:]))])

        return BatchCollateOutput(
            torch.stack([left(row.input_ids, self.tokenizer.pad_token_id) for row in sample_list]),
            torch.stack([below(row.images, tiles) for row in sample_list]),
            torch.stack([left(row.images_seq_mask, False) for row in sample_list]),
            torch.stack([below(row.images_spatial_crop, images) for row in sample_list]),
        )


def grid(size_wh):
    """(columns, rows) of tiles that keep most of an image's pixels, the fewest where several do."""

    def kept(shape):
        scale = min(shape[0] * SIDE / size_wh[0], shape[1] * SIDE / size_wh[1], 1)
        return scale, -shape[0] * shape[1]

    return max(((columns, rows) for columns in range(1, MOST_TILES + 1) for rows in range(1, MOST_TILES // columns + 1)), key=kept)


def tokens_of(shape):
    """Tokens of an image: the whole and its tiles, a mark after each line of cells, and one between the two."""
    columns, rows = shape
    return CELLS * (CELLS + 1) + 1 + rows * CELLS * (columns * CELLS + 1)


def tiles_of(image, shape):
    """The whole image and its tiles, (3, SIDE, SIDE) in -1..1 each."""
    columns, rows = shape
    yield as_tensor(image.resize((SIDE, SIDE)))
    yield from (
        as_tensor(image.resize((columns * SIDE, rows * SIDE)))
        .unfold(1, SIDE, SIDE)
        .unfold(2, SIDE, SIDE)
        .permute(1, 2, 0, 3, 4)
        .flatten(0, 1)
    )


def as_tensor(image):
    """(3, height, width) in -1..1."""
    return torch.from_numpy(np.array(image.convert("RGB"), dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1
