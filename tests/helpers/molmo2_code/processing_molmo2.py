"""The processor of the stand-in: crops of an image, and which patches each of its tokens is pooled from."""

import numpy as np
import torch
from transformers import BaseImageProcessor, BatchFeature

from .stand_in_parts import PartsOnly

SIDE, PATCH, POOLED = 56, 14, 2  # of a crop and a patch, px; patches along the side of a token
TOKENS = SIDE // PATCH // POOLED  # along the side of a crop
MOST = 3  # crops along a side


class Molmo2ImageProcessor(BaseImageProcessor):
    """The whole image as one crop, and a grid of crops as near to its aspect ratio as `MOST` a side allow."""

    model_input_names = ["pixel_values", "image_token_pooling", "image_grids", "image_num_crops"]

    def preprocess(self, images, return_tensors=None, **kwargs):
        """RGB PIL images -> `pixel_values` (crops, patches, values of a patch) in -1..1, `image_token_pooling` (tokens, POOLED**2) the
        numbers of patches within their image, `image_grids` (images, 4) tokens down and across the whole image and its crops,
        `image_num_crops` (images,)."""
        images = images if isinstance(images, (list, tuple)) else [images]
        crops, pooling, grids, counts = [], [], [], []
        for image in images:
            columns, rows = grid_of(image.size)
            shown = [(1, 1), (columns, rows)]
            crops += [crop for shape in shown for crop in crops_of(image, *shape)]
            pooling += [pooled(1, 1, 0), pooled(columns, rows, (SIDE // PATCH) ** 2)]
            grids.append([TOKENS, TOKENS, rows * TOKENS, columns * TOKENS])
            counts.append(1 + columns * rows)
        values = {"pixel_values": torch.stack(crops), "image_token_pooling": torch.cat(pooling)}
        return BatchFeature({**values, "image_grids": torch.tensor(grids), "image_num_crops": torch.tensor(counts)})


def grid_of(size_wh):
    """(columns, rows) of the crops of an image."""
    longer = max(size_wh)
    return tuple(max(1, round(MOST * side / longer)) for side in size_wh)


def crops_of(image, columns, rows):
    """(patches, values of a patch) in -1..1 for each crop, row by row."""
    pixels = torch.from_numpy(np.array(image.convert("RGB").resize((columns * SIDE, rows * SIDE)), dtype=np.float32))
    crops = (pixels / 127.5 - 1).permute(2, 0, 1).unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE).permute(1, 2, 0, 3, 4).flatten(0, 1)
    patches = crops.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH).permute(0, 2, 3, 1, 4, 5)
    return list(patches.flatten(1, 2).flatten(2))


def pooled(columns, rows, first):
    """(tokens, POOLED**2): the patches of each token, row by row over the whole grid of crops, the first of them numbered `first`."""
    side = SIDE // PATCH
    numbers = first + torch.arange(columns * rows * side**2).reshape(rows, columns, side, side).transpose(1, 2)
    grid = numbers.reshape(rows * side // POOLED, POOLED, columns * side // POOLED, POOLED).transpose(1, 2)
    return grid.flatten(0, 1).flatten(1)


class Molmo2Processor(PartsOnly):
    """Its parts, and the tokens of an image."""

    def __init__(self, image_processor, tokenizer, **kwargs):
        super().__init__(image_processor, tokenizer)
        self.image_token_ids = [tokenizer.convert_tokens_to_ids(mark) for mark in ("<im_patch>", "<im_start>", "<im_end>")]

    def get_image_tokens(self, image_grid):
        """The tokens of one image: those of the whole of it, and of its crops, each between its marks."""
        low_high, low_wide, high, wide = map(int, image_grid)
        return [mark for count in (low_high * low_wide, high * wide) for mark in ("<im_start>", *["<im_patch>"] * count, "<im_end>")]
