"""Draw what the anomaly demo needs: `python draw_bench.py --frames 240 --out bench` writes a YOLO dataset and a clip.

A bench with triangles, squares and rings, of which the rings are the anomaly: frames of several videos, each with a background of its own,
labels and data.yaml; clip.mp4 of another video, in which a ring appears in the middle third. Frame `i` depends on (seed, i) alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "quickstart"))

import draw

SHAPES = ("triangle", "square", "ring")
SIZE_WH = (112, 84)
CLIP_S, CLIP_FPS = 18, 5
draw.CLASSES["bench"] = SHAPES
draw.HUES["bench"] = [draw.HUES["toys"][draw.SHAPES.index(shape)] for shape in SHAPES]


def write_frame(folder: Path, seed: int, index: int, videos: int) -> None:
    """One frame of video `index % videos` with its label file."""
    video, rng = index % videos, np.random.default_rng([seed, index])
    image = draw.background("toys", np.random.default_rng([seed, 1_000_000 + video]), SIZE_WH)
    found = draw.draw_objects("bench", rng, image) if rng.uniform() >= draw.EMPTY_SHARE else []
    lines = [label_line(category - 1, box) for category, box in found]
    for kind, suffix in (("images", "jpg"), ("labels", "txt")):
        (folder / kind / f"video{video:02}").mkdir(parents=True, exist_ok=True)
        path = folder / kind / f"video{video:02}" / f"{index:05}.{suffix}"
        as_image(image).save(path, quality=92) if kind == "images" else path.write_text("".join(lines))


def label_line(category: int, box_xyxy_px: draw.Box) -> str:
    """A line of a YOLO label file: class, centre and size as fractions."""
    x1, y1, x2, y2 = box_xyxy_px
    width, height = SIZE_WH
    return f"{category} {(x1 + x2) / 2 / width:.6f} {(y1 + y2) / 2 / height:.6f} {(x2 - x1) / width:.6f} {(y2 - y1) / height:.6f}\n"


def as_image(image: np.ndarray) -> Image.Image:
    return Image.fromarray((image * 255).round().astype(np.uint8))


def write_clip(path: Path, seed: int) -> None:
    """A video of a square and a triangle, and of a ring too in its middle third."""
    import av

    rng = np.random.default_rng([seed, 2_000_000])
    behind = draw.background("toys", rng, SIZE_WH)
    painted = [paint(rng, behind, SHAPES.index(shape)) for shape in ("square", "triangle", "ring")]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=CLIP_FPS)
        stream.bit_rate, stream.gop_size = 4_000_000, 1
        stream.width, stream.height, stream.pix_fmt = *SIZE_WH, "yuv420p"
        for index in range(CLIP_S * CLIP_FPS):
            shown = painted if CLIP_S / 3 <= index / CLIP_FPS < 2 * CLIP_S / 3 else painted[:2]
            image = behind.copy()
            for mask, rgb in shown:
                image += (rgb - image) * mask[..., None]
            container.mux(stream.encode(av.VideoFrame.from_image(as_image(image))))
        container.mux(stream.encode())


def paint(rng: np.random.Generator, behind: np.ndarray, category: int) -> tuple[np.ndarray, np.ndarray]:
    """The coverage of one shape in its own third of the image, and its colour."""
    mask = draw.mask_of(SHAPES[category], rng, SIZE_WH)
    x1, y1, x2, y2 = draw.box_of(mask)
    wanted = (SIZE_WH[0] * (2 * category + 1) // 6, SIZE_WH[1] // 2)
    mask = np.roll(mask, (wanted[1] - (y1 + y2) // 2, wanted[0] - (x1 + x2) // 2), (0, 1))
    return mask, draw.colour("bench", category, rng, behind.mean((0, 1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    for index in range(asked.frames):
        write_frame(asked.out, asked.seed, index, asked.videos)
    write_clip(asked.out / "clip.mp4", asked.seed)
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(SHAPES))
    (asked.out / "data.yaml").write_text(f"train: images\nnames:\n{names}")


if __name__ == "__main__":
    main()
