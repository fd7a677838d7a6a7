"""Images of shapes with a known ground truth, for parity without a dataset."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
from PIL import Image, ImageDraw

from groundswift.atomic_write import write_whole
from groundswift.data_converters.prompts import asking
from groundswift.records import detection_row, encode_row

SIZE_WH = (800, 600)
SHAPES = ("circle", "square", "triangle")
COLOURS = ((200, 40, 40), (30, 120, 60), (40, 70, 190), (150, 60, 160), (190, 120, 20))
SIDES_PX, MOST_SHAPES, TRIES = (60, 220), 4, 40
Placed = tuple[str, tuple[int, int, int, int]]


def draw_rows(count: int, folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Draw `count` images of 1 to 4 shapes into a folder -> (rows of swift, ground truth in COCO format)."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    question = asking("detect", "en", None, seed, False, ["categories"]).filled({"categories": ", ".join(SHAPES)}).pick(0)
    rows, images, annotations = [], [], []
    for number in range(1, count + 1):
        path = folder / "images" / f"{number}.png"
        shapes = draw(path, random.Random(f"{seed}:{number}"))
        boxes = [list(map(float, box)) for _, box in shapes]
        rows.append(
            encode_row(
                detection_row(number, str(path.resolve()), SIZE_WH, question.text, [name for name, _ in shapes], boxes, question.name)
            )
        )
        images.append({"id": number, "file_name": path.name, "width": SIZE_WH[0], "height": SIZE_WH[1]})
        for name, (x1, y1, x2, y2) in shapes:
            bbox, category = [x1, y1, x2 - x1, y2 - y1], SHAPES.index(name) + 1
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": category, "bbox": bbox, "iscrowd": 0})
    categories = [{"id": number, "name": name} for number, name in enumerate(SHAPES, 1)]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    write_whole(folder / "rows.jsonl", rows)
    write_whole(folder / "annotations.json", [msgspec.json.encode(truth)])
    return folder / "rows.jsonl", folder / "annotations.json"


def draw(path: Path, rng: random.Random) -> list[Placed]:
    """Draw one image; shapes do not overlap. Returns them with their boxes, xyxy in px, from top to bottom."""
    image = Image.new("RGB", SIZE_WH, tuple(rng.randrange(215, 250) for _ in range(3)))
    canvas, placed = ImageDraw.Draw(image), []
    wanted = rng.randint(1, MOST_SHAPES)
    for _ in range(TRIES):
        side = rng.randint(*SIDES_PX)
        x, y = (rng.randint(0, most - side) for most in SIZE_WH)
        box = (x, y, x + side, y + side)
        if len(placed) < wanted and not any(overlap(box, other) for _, other in placed):
            placed.append((rng.choice(SHAPES), box))
            paint(canvas, *placed[-1], rng.choice(COLOURS))
    image.save(path)
    return sorted(placed, key=lambda each: (each[1][1], each[1][0]))


def overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    """Whether two boxes share area."""
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])


def paint(canvas: ImageDraw.ImageDraw, name: str, box: tuple[int, int, int, int], colour: tuple[int, int, int]) -> None:
    """Draw a shape that fills its box, whose right and lower edge are exclusive."""
    x1, y1, x2, y2 = box[0], box[1], box[2] - 1, box[3] - 1
    if name == "circle":
        canvas.ellipse((x1, y1, x2, y2), colour)
    elif name == "square":
        canvas.rectangle((x1, y1, x2, y2), colour)
    else:
        canvas.polygon([((x1 + x2) / 2, y1), (x2, y2), (x1, y2)], colour)
