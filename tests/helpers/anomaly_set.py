"""A drawn YOLO dataset of a bench with anomalies: tips, plates, bubbles on frames of several videos."""

from __future__ import annotations

import random
from pathlib import Path

import yaml
from PIL import Image, ImageDraw

CLASSES = ["tip", "plate", "bubble"]
COLOURS = [(250, 20, 20), (20, 40, 180), (10, 200, 220)]


def lay_out_frames(root: Path, count: int = 8, videos: int = 2, size_wh: tuple[int, int] = (160, 120), names: list[str] = CLASSES) -> Path:
    """Write `count` frames, spread over the folders of `videos`, with their labels and data.yaml -> its path. The last has no objects."""
    chance = random.Random(3)
    for number in range(count):
        folder, name = f"video{number % videos}", f"f{number:04}"
        image = Image.new("RGB", size_wh, (200 + number % 7, 205, 210))
        pen, lines = ImageDraw.Draw(image), []
        for _ in range(0 if number == count - 1 else chance.randint(1, 4)):
            rank, (width, height) = chance.randrange(len(names)), (chance.randint(12, 40), chance.randint(12, 40))
            x, y = chance.randint(0, size_wh[0] - width), chance.randint(0, size_wh[1] - height)
            pen.ellipse((x, y, x + width - 1, y + height - 1), fill=COLOURS[rank % 3])
            fractions = ((x + width / 2) / size_wh[0], (y + height / 2) / size_wh[1], width / size_wh[0], height / size_wh[1])
            lines.append(" ".join([str(rank), *map(repr, fractions)]))
        for kind, content in (("images", image), ("labels", "".join(f"{line}\n" for line in lines))):
            path = root / kind / folder / (f"{name}.png" if kind == "images" else f"{name}.txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            content.save(path) if kind == "images" else path.write_text(content)
    (root / "data.yaml").write_text(yaml.safe_dump({"train": "images", "names": names}))
    return root / "data.yaml"
