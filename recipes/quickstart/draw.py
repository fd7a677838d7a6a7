"""Draw a seeded detection dataset in COCO format: images with shapes, and `annotations.json`.

Three domains. The embedded model was pretrained on the first, then on the second; the third has no class and no background of theirs:

* `shapes`: seven classes in any colour on light backgrounds (plain, graded, striped, grainy).
* `toys`:   the same classes, each in hues of its own, on calm backgrounds from dark to light.
* `night`:  three other classes, each in a neon hue of its own, on dark noise with far lights; what the quickstart fine-tunes for.

Every set holds images without objects. A `night` set also holds one JPEG whose pixels are stored rotated (EXIF orientation 6)
and one crowd box. Image `i` depends on (seed, i) alone, so the number of processes never changes the images.

    python recipes/quickstart/draw.py night --count 200 --seed 7 --out data/night
"""

from __future__ import annotations

import argparse
import colorsys
import json
import math
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

SHAPES = ("circle", "square", "triangle", "cross", "ring", "heart", "blob")
CLASSES = {"shapes": SHAPES, "toys": SHAPES, "night": ("star", "bolt", "crescent")}
HUES = {"toys": [i / len(SHAPES) for i in range(len(SHAPES))], "night": [0.15, 0.5, 0.88]}  # the middle of each class's range
SIZES_WH = ((112, 112), (112, 112), (112, 112), (112, 84), (84, 112))
EMPTY_SHARE = 0.08  # of all images: no object at all, or a model learns to always answer
SUPERSAMPLE = 3
EXIF_ORIENTATION = 0x0112
Box = tuple[int, int, int, int]  # xyxy in px
Points = list[tuple[float, float]]


def polygon(points_on_circle: int, inner: float = 1.0) -> Points:
    """Corners of a regular polygon, or of a star when `inner` < 1; (x, y) in -1..1, first corner up."""
    count = points_on_circle * (2 if inner < 1.0 else 1)
    radii = [1.0 if inner == 1.0 or i % 2 == 0 else inner for i in range(count)]
    angles = [2 * math.pi * i / count - math.pi / 2 for i in range(count)]
    return [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


def heart() -> Points:
    turns = np.linspace(0, 2 * math.pi, 40)
    xs = 16 * np.sin(turns) ** 3 / 17
    ys = -(13 * np.cos(turns) - 5 * np.cos(2 * turns) - 2 * np.cos(3 * turns) - np.cos(4 * turns)) / 17
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def arc_between(outer: float, inner: float, shift: float) -> Points:
    """A crescent: a disc of radius `outer` less a disc of radius `inner` whose centre is shifted right by `shift`."""
    meet = (outer**2 + shift**2 - inner**2) / (2 * shift)
    angle_out = math.acos(meet / outer)
    angle_in = math.acos((meet - shift) / inner)
    far = np.linspace(angle_out, 2 * math.pi - angle_out, 30)
    near = np.linspace(2 * math.pi - angle_in, angle_in, 30)
    return [(outer * math.cos(a), outer * math.sin(a)) for a in far] + [(shift + inner * math.cos(a), inner * math.sin(a)) for a in near]


OUTLINES = {
    "circle": polygon(40),
    "ring": polygon(40),
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "triangle": polygon(3),
    "heart": heart(),
    "cross": [(-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3)]
    + [(0.3, 1), (-0.3, 1), (-0.3, 0.3), (-1, 0.3), (-1, -0.3), (-0.3, -0.3)],
    "star": polygon(5, inner=0.42),
    "crescent": arc_between(1.0, 0.85, 0.5),
    "bolt": [(-0.2, -1), (0.5, -1), (0.1, -0.25), (0.6, -0.25), (-0.4, 1), (-0.05, 0.1), (-0.6, 0.1)],
}


def blob(rng: np.random.Generator) -> Points:
    """A shape of no particular form: what teaches a model to bound things that it cannot name."""
    count = int(rng.integers(5, 12))
    angles = (np.arange(count) + rng.uniform(-0.3, 0.3, count)) * 2 * math.pi / count
    return [(r * math.cos(a), r * math.sin(a)) for r, a in zip(rng.uniform(0.35, 1, count), angles, strict=True)]


def mask_of(name: str, rng: np.random.Generator, size_wh: tuple[int, int]) -> np.ndarray:
    """Anti-aliased coverage of one shape of random size, turn and place, (H, W) float 0..1."""
    width, height = size_wh
    radius, turn, stretch = rng.uniform(0.13, 0.3) * min(size_wh), rng.uniform(-0.5, 0.5), rng.uniform(0.7, 1.0)
    cx, cy = rng.uniform(radius, width - radius), rng.uniform(radius, height - radius)
    cos, sin = math.cos(turn), math.sin(turn)
    corners = []
    for x, y in blob(rng) if name == "blob" else OUTLINES[name]:
        x, y = x * radius * stretch, y * radius
        corners.append(((cx + x * cos - y * sin) * SUPERSAMPLE, (cy + x * sin + y * cos) * SUPERSAMPLE))
    canvas = Image.new("L", (width * SUPERSAMPLE, height * SUPERSAMPLE))
    pen = ImageDraw.Draw(canvas)
    pen.polygon(corners, fill=255)
    if name == "ring":
        cx, cy = cx * SUPERSAMPLE, cy * SUPERSAMPLE
        pen.polygon([(cx + (x - cx) * 0.55, cy + (y - cy) * 0.55) for x, y in corners], fill=0)
    return np.asarray(canvas.reduce(SUPERSAMPLE), dtype=np.float32) / 255


def box_of(mask: np.ndarray) -> Box:
    """Tight xyxy box in pixels around the cells that a shape covers by half or more."""
    ys, xs = np.nonzero(mask >= 0.5)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def background(domain: str, rng: np.random.Generator, size_wh: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) float 0..1."""
    width, height = size_wh
    if domain == "night":
        base = np.array(colorsys.hsv_to_rgb(rng.uniform(0.5, 0.75), rng.uniform(0.3, 0.9), rng.uniform(0.05, 0.22)))
        image = np.ones((height, width, 3)) * base
        image += rng.normal(0, rng.uniform(0.01, 0.05), (height, width, 1))
        for _ in range(int(rng.integers(0, 25))):  # far lights
            image[rng.integers(height), rng.integers(width)] = rng.uniform(0.4, 0.9)
        return image.clip(0, 1)
    vivid, darkest, grain = (0.5, 0.35, 0.04) if domain == "shapes" else (0.3, 0.0, 0.02)
    first, second = (np.array(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0, vivid), rng.uniform(darkest, 1.0))) for _ in range(2))
    angle = rng.uniform(0, 2 * math.pi)
    ys, xs = np.mgrid[0:height, 0:width]
    along = (xs * math.cos(angle) + ys * math.sin(angle)) / max(size_wh)
    blend, kind = np.zeros((height, width)), rng.choice(["plain", "graded", "striped"])
    if kind == "graded":
        blend = (along - along.min()) / np.ptp(along)
    elif kind == "striped":
        blend = 0.35 * (np.sin(along * rng.uniform(10, 50)) > 0)
    image = first + (second - first) * blend[..., None]
    return (image + rng.normal(0, rng.uniform(0, grain), (height, width, 1))).clip(0, 1)


def colour(domain: str, category: int, rng: np.random.Generator, behind: np.ndarray) -> np.ndarray:
    """An RGB colour for a class (by its place in CLASSES) that contrasts with its background."""
    while True:
        if domain == "shapes":
            hsv = (rng.uniform(), rng.uniform(0.2, 1), rng.uniform(0.0, 1.0))
        else:
            hsv = ((HUES[domain][category] + rng.uniform(-0.05, 0.05)) % 1, rng.uniform(0.6, 1), rng.uniform(0.6, 1))
        rgb = np.array(colorsys.hsv_to_rgb(*hsv))
        if np.abs(rgb - behind).max() > 0.35:
            return rgb


def overlap(box: Box, other: Box) -> float:
    """Share of the smaller of two boxes that the other covers."""
    wide, high = (max(0, min(box[end], other[end]) - max(box[end - 2], other[end - 2])) for end in (2, 3))
    return wide * high / min((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))


def draw_objects(domain: str, rng: np.random.Generator, image: np.ndarray) -> list[tuple[int, Box]]:
    """Paint one to three shapes -> [(category id, xyxy box in pixels)]."""
    height, width = image.shape[:2]
    found: list[tuple[int, Box]] = []
    wanted = int(rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25]))
    for _ in range(wanted * 8):
        if len(found) == wanted:
            break
        category = int(rng.integers(len(CLASSES[domain])))
        mask = mask_of(CLASSES[domain][category], rng, (width, height))
        if not (mask >= 0.5).any():
            continue
        box = box_of(mask)
        if any(overlap(box, other) > 0.15 for _, other in found):
            continue
        rgb = colour(domain, category, rng, image[box[1] : box[3], box[0] : box[2]].mean((0, 1)))
        image += (rgb - image) * mask[..., None]
        found.append((category + 1, box))
    return found


def draw_crowd(rng: np.random.Generator, image: np.ndarray) -> tuple[int, Box]:
    """A swarm of tiny stars in the upper left, too many to count: one crowd box."""
    for _ in range(40):
        x, y = int(rng.integers(3, 45)), int(rng.integers(3, 30))
        image[y : y + 2, x : x + 2] = rng.uniform(0.7, 1, 3)
    return 1, (2, 2, 48, 33)


def draw_image(domain: str, seed: int, folder: Path, index: int) -> tuple[dict, list[dict]]:
    """Draw image number `index` (from 0) into `folder` -> its COCO image row and annotation rows, ids not yet set."""
    rng = np.random.default_rng([seed, index])
    size_wh = SIZES_WH[int(rng.integers(len(SIZES_WH)))]
    rotated, crowd = domain == "night" and index == 1, domain == "night" and index == 2
    if rotated:
        size_wh = (112, 84)
    image = background(domain, rng, size_wh)
    rows = []
    if crowd:
        rows = [draw_crowd(rng, image)]
    elif rotated or rng.uniform() >= EMPTY_SHARE:
        rows = draw_objects(domain, rng, image)
    image = Image.fromarray((image * 255).round().astype(np.uint8))
    name = f"{index + 1:06d}.jpg"
    exif = Image.Exif()
    if rotated:  # a viewer turns this file 90 degrees clockwise; the boxes refer to the upright image
        image = image.transpose(Image.Transpose.ROTATE_90)
        exif[EXIF_ORIENTATION] = 6
    image.save(folder / name, quality=92, exif=exif)
    annotations = [
        {"image_id": index + 1, "category_id": category, "bbox": [x1, y1, wide, high], "area": wide * high, "iscrowd": int(crowd)}
        for category, (x1, y1, x2, y2) in rows
        for wide, high in [(x2 - x1, y2 - y1)]
    ]
    return {"id": index + 1, "file_name": name, "width": size_wh[0], "height": size_wh[1]}, annotations


def write_coco(domain: str, seed: int, drawn: list[tuple[dict, list[dict]]], out: Path) -> None:
    """Number the annotations from 1 and write a COCO file."""
    annotations = [row for _, rows in drawn for row in rows]
    coco = {
        "info": {"description": f"{domain}, {len(drawn)} images, seed {seed}"},
        "images": [image for image, _ in drawn],
        "annotations": [{"id": number, **row} for number, row in enumerate(annotations, 1)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES[domain], 1)],
    }
    out.write_text(json.dumps(coco), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domain", choices=sorted(CLASSES))
    parser.add_argument("--count", type=int, default=200, help="images to draw (default: 200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder for images/ and annotations.json")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    folder = options.out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    draw = partial(draw_image, options.domain, options.seed, folder)
    with Pool(options.workers) as pool:
        images = pool.imap(draw, range(options.count), chunksize=32)
        drawn = list(tqdm(images, total=options.count, desc=f"draw {options.domain}", unit="image"))
    write_coco(options.domain, options.seed, drawn, options.out / "annotations.json")


if __name__ == "__main__":
    main()
