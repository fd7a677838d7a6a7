"""Tokens that each image of the data becomes under the pixel limits of a training, by the resize of its family."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from groundswift import resized_wh
from groundswift.coordinates import limits_in_force
from groundswift.errors import GroundswiftError
from groundswift.family import BY_MODEL_TYPE, FAMILIES, Family
from groundswift.image_resize import Limits


@dataclass(frozen=True)
class ImageTokens:
    """Tokens per image. `lowest`, `median`, `highest`: of the data's images, None without any. `limit_lowest`, `limit_highest`: as allowed.

    `refused`: images that the resize refuses, as training will. `token_side_px`: width and height of one token.
    """

    images: int
    lowest: int | None
    median: float | None
    highest: int | None
    limit_lowest: int
    limit_highest: int
    refused: int
    token_side_px: int


def family_of_template(template: str | None, model_type: str | None) -> Family | None:
    """The family of a template of swift's or ours, else of a model type; None where the table has none."""
    for row in FAMILIES.values():
        if template in (*row.templates, *row.swift_templates):
            return row
    return BY_MODEL_TYPE.get(model_type or "")


def limits_of(environment: Mapping[str, str], row: Family, max_pixels: int | None) -> Limits:
    """The limits that swift takes from the environment, where a limit in tokens counts over one in pixels, and from `--max_pixels`.

    Raises GroundswiftError where one is not a whole number above 0.
    """
    areas: dict[str, int | None] = {}
    for side in ("MIN", "MAX"):
        tokens, pixels = environment.get(f"IMAGE_{side}_TOKEN_NUM"), environment.get(f"{side}_PIXELS")
        name, value = (f"IMAGE_{side}_TOKEN_NUM", tokens) if tokens else (f"{side}_PIXELS", pixels)
        if value and not (value.isdigit() and int(value) > 0):
            raise GroundswiftError(f"{name}={value}: expected a whole number above 0")
        areas[side] = int(value) * (row.resize_factor**2 if tokens else 1) if value else None
    return limits_in_force(Limits(areas["MIN"], areas["MAX"], max_pixels), row.name)


def count_image_tokens(sizes_wh: list[tuple[int, int]], row: Family, limits: Limits) -> ImageTokens:
    """Tokens of each image. Raises GroundswiftError where the limits contradict each other or have no room for a token."""
    factor, counts, refused = row.resize_factor, [], 0
    resized_wh((factor, factor), row.name, limits.min_pixels, limits.max_pixels)
    for size_wh in sizes_wh:
        try:
            width, height = resized_wh(size_wh, row.name, limits.min_pixels, limits.max_pixels, limits.first_max_pixels)
        except GroundswiftError:
            refused += 1
            continue
        counts.append(width * height // factor**2)
    found = (min(counts), statistics.median(counts), max(counts)) if counts else (None, None, None)
    return ImageTokens(len(counts), *found, limits.min_pixels // factor**2, limits.max_pixels // factor**2, refused, factor)
