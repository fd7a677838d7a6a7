"""Draw a seeded OCR dataset: images of one to three digits in any colour, and `texts.csv` with the text of each.

Image `i` depends on (seed, i) alone. The font is the one that Pillow has.

    python recipes/quickstart/draw_text.py --count 200 --seed 7 --out data/digits
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE_WH = (112, 56)
LENGTHS = (1, 2, 3)
LEAST_CONTRAST = 0.4  # between text and background, in the channel where they differ most


def colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """RGB of background and text, 0 to 1, of enough contrast."""
    while True:
        behind, ink = rng.uniform(size=3), rng.uniform(size=3)
        if np.abs(behind - ink).max() >= LEAST_CONTRAST:
            return behind, ink


def draw_image(seed: int, index: int) -> tuple[Image.Image, str]:
    """Image number `index` and its text."""
    rng = np.random.default_rng([seed, index])
    text = "".join(map(str, rng.integers(10, size=rng.choice(LENGTHS))))
    behind, ink = colours(rng)
    font = ImageFont.load_default(size=int(rng.integers(34, 41)))
    mask = Image.new("L", SIZE_WH)
    pen = ImageDraw.Draw(mask)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    x, y = (rng.integers(2, side - length - 1) for side, length in zip(SIZE_WH, (right - left, bottom - top), strict=True))
    pen.text((x - left, y - top), text, font=font, fill=255)
    cover = np.asarray(mask, dtype=np.float64)[..., None] / 255
    noise = rng.normal(0, rng.uniform(0, 0.04), (SIZE_WH[1], SIZE_WH[0], 1))
    pixels = behind + (ink - behind) * cover + noise
    return Image.fromarray((pixels.clip(0, 1) * 255).round().astype(np.uint8)), text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    (options.out / "images").mkdir(parents=True)
    with open(options.out / "texts.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "text"])
        for index in range(options.count):
            image, text = draw_image(options.seed, index)
            name = f"images/{index + 1:06d}.png"
            image.save(options.out / name)
            rows.writerow([name, text])


if __name__ == "__main__":
    main()
