"""Tiles of an image: the whole image, and a grid of up to `num_crops` tiles whose aspect ratio is the nearest."""

import math

import numpy as np
import torch
from PIL import Image
from transformers import BaseImageProcessor, BatchFeature

SIDE = 28  # of a tile, px
TOKENS = 4  # of a tile


class Phi3VImageProcessor(BaseImageProcessor):
    """swift's loader sets `num_crops` to 4, or to the environment variable of that name."""

    model_input_names = ["pixel_values", "image_sizes", "num_img_tokens"]

    def __init__(self, num_crops=4, **kwargs):
        super().__init__(**kwargs)
        self.num_crops = num_crops

    def grid(self, size_wh):
        """(columns, rows) of the tiles of an image."""
        shapes = ((columns, rows) for columns in range(1, self.num_crops + 1) for rows in range(1, self.num_crops // columns + 1))
        aspect = math.log(size_wh[0] / size_wh[1])
        return min(shapes, key=lambda shape: (abs(aspect - math.log(shape[0] / shape[1])), -shape[0]))

    def preprocess(self, images, return_tensors=None, **kwargs):
        """RGB PIL images -> `pixel_values` (images, num_crops + 1, 3, SIDE, SIDE) in -1..1, unused tiles zero; `image_sizes` (images, 2)
        height and width of the grid in px; `num_img_tokens` (images,)."""
        images = images if isinstance(images, (list, tuple)) else [images]
        pixels = torch.zeros(len(images), self.num_crops + 1, 3, SIDE, SIDE)
        grids = [self.grid(image.size) for image in images]
        for number, (image, (columns, rows)) in enumerate(zip(images, grids, strict=True)):
            tiles = as_tensor(image.resize((columns * SIDE, rows * SIDE))).unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE)
            pixels[number, 0] = as_tensor(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
            pixels[number, 1 : columns * rows + 1] = tiles.permute(1, 2, 0, 3, 4).flatten(0, 1)
        sizes = torch.tensor([[rows * SIDE, columns * SIDE] for columns, rows in grids])
        counts = torch.tensor([TOKENS * (columns * rows + 1) for columns, rows in grids])
        return BatchFeature({"pixel_values": pixels, "image_sizes": sizes, "num_img_tokens": counts})


def as_tensor(image):
    """(3, height, width) in -1..1."""
    return torch.from_numpy(np.array(image.convert("RGB"), dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1
