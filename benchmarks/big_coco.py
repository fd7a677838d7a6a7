"""A file of the size and shape of COCO's instances_train2017.json, drawn up from a seed, for `convert.py` and whoever needs a large one.

118,287 images and 860,001 annotations with polygons, in an order of their own as in the original; 80 classes whose ids have COCO's gaps,
some far more frequent than others; boxes per image log-normal; about 1 % of the images without annotations and about 1 % of the
annotations crowds with run lengths. Nothing in it is from COCO but the names of the classes and the layout.

    python benchmarks/big_coco.py big/instances_train2017.json                # the whole, 0.4 GB
    python benchmarks/big_coco.py small/instances_train2017.json --share 0.02
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from groundswift.atomic_write import write_whole

IMAGES, ANNOTATIONS = 118_287, 860_001
LARGEST_ID = 581_929  # of an image
SIZES_WH = np.array([(640, 480), (480, 640), (640, 427), (427, 640), (500, 375), (612, 612)])
SIZE_SHARES = (0.35, 0.13, 0.25, 0.1, 0.12, 0.05)
EMPTY = CROWD = 0.01  # shares of the images, of the annotations
VERTICES = 21  # of a polygon, in the median
AT_ONCE = 20_000  # annotations that are drawn together
NAMES = (  # by id from 1, comma-separated; an id without a class has an empty one
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,,stop sign,parking meter,bench,bird,cat,dog,"
    "horse,sheep,cow,elephant,bear,zebra,giraffe,,backpack,umbrella,,,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,"
    "baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,"
    "orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,,dining table,,,toilet,,tv,laptop,mouse,remote,keyboard,"
    "cell phone,microwave,oven,toaster,sink,refrigerator,,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
CATEGORIES = [{"supercategory": "thing", "id": number, "name": name} for number, name in enumerate(NAMES.split(","), 1) if name]

_encode = msgspec.json.Encoder().encode


def write_big_coco(path: str | Path, images: int = IMAGES, annotations: int = ANNOTATIONS, seed: int = 0) -> None:
    """Write such a file, whole or not at all. `annotations` is at least `images`."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(rng.choice(np.arange(1, LARGEST_ID + 1), images, replace=False))
    sizes_wh = SIZES_WH[rng.choice(len(SIZES_WH), images, p=SIZE_SHARES)]
    owners = drawn_owners(rng, images, annotations)
    write_whole(path, pieces(rng, ids, sizes_wh, owners))


def drawn_owners(rng: np.random.Generator, images: int, annotations: int) -> NDArray[np.int64]:
    """(annotations,) which image each belongs to, in no order; every image but the empty ones has one or more."""
    filled = rng.permutation(images)[round(images * EMPTY) :]
    often = rng.lognormal(0, 0.9, len(filled))
    more = rng.multinomial(annotations - len(filled), often / often.sum())
    return rng.permutation(np.repeat(filled, more + 1))


def pieces(rng: np.random.Generator, ids: NDArray[np.int64], sizes_wh: NDArray[np.int64], owners: NDArray[np.int64]) -> Iterator[bytes]:
    """The text of the file, piece by piece."""
    info = {"description": "drawn up from a seed", "url": "", "version": "1.0", "year": 2017, "contributor": "", "date_created": ""}
    licenses = [{"url": "http://example.org/license", "id": 1, "name": "none"}]
    yield b'{"info":' + _encode(info) + b',"licenses":' + _encode(licenses) + b',"images":['
    yield from joined(map(image_row, ids.tolist(), *sizes_wh.T.tolist()))
    yield b'],"annotations":['
    numbers = rng.permutation(len(owners)) + 1
    yield from joined(annotation_rows(rng, ids, sizes_wh, owners, numbers))
    yield b'],"categories":' + _encode(CATEGORIES) + b"}"


def joined(rows: Iterable[dict]) -> Iterator[bytes]:
    """Rows as JSON with commas between."""
    comma = b""
    for row in rows:
        yield comma + _encode(row)
        comma = b","


def image_row(number: int, width: int, height: int) -> dict:
    """An image as COCO writes it, every key among them."""
    name = f"{number:012d}.jpg"
    return {
        "license": 1,
        "file_name": name,
        "coco_url": f"http://example.org/train2017/{name}",
        "height": height,
        "width": width,
        "date_captured": "2013-11-14 17:02:52",
        "flickr_url": f"http://farm{number % 9 + 1}.example.org/{number % 9973}/{number * 7919 % 10**10:010d}_{number:010x}_z.jpg",
        "id": number,
    }


def annotation_rows(
    rng: np.random.Generator, ids: NDArray[np.int64], sizes_wh: NDArray[np.int64], owners: NDArray[np.int64], numbers: NDArray[np.int64]
) -> Iterator[dict]:
    """The annotations, AT_ONCE by AT_ONCE."""
    often = 1 / np.arange(1, len(CATEGORIES) + 1) ** 0.9
    class_ids = np.array([category["id"] for category in CATEGORIES])
    for start in tqdm(range(0, len(owners), AT_ONCE), desc="write data", unit="block"):
        owner = owners[start : start + AT_ONCE]
        size_wh = sizes_wh[owner]
        classes = class_ids[rng.choice(len(class_ids), len(owner), p=often / often.sum())].tolist()
        points, ends, boxes_xywh, areas = drawn_polygons(rng, size_wh)
        crowds = (rng.uniform(size=len(owner)) < CROWD).tolist()
        begin = 0
        for image, category, number, end, box, area, crowd, size in zip(
            ids[owner].tolist(),
            classes,
            numbers[start : start + AT_ONCE].tolist(),
            ends,
            boxes_xywh,
            areas,
            crowds,
            size_wh.tolist(),
            strict=True,
        ):
            yield {
                "segmentation": run_lengths(rng, *size) if crowd else [points[begin:end]],
                "area": area,
                "iscrowd": int(crowd),
                "image_id": image,
                "bbox": box,
                "category_id": category,
                "id": number,
            }
            begin = end


def drawn_polygons(rng: np.random.Generator, sizes_wh: NDArray[np.int64]) -> tuple[list[float], list[int], list[list[float]], list[float]]:
    """One polygon an image size (N, 2): all x, y in px one after the other, where each polygon ends in that list, and of each the bounding
    box, xywh in px, and the area in square px."""
    count = len(sizes_wh)
    sides = np.clip(rng.lognormal(-1.9, 0.9, (count, 2)), 0.01, 0.98) * sizes_wh
    middles = sides / 2 + rng.uniform(0, 1, (count, 2)) * (sizes_wh - sides)
    vertices = np.clip(rng.lognormal(np.log(VERTICES), 0.6, count), 4, 300).astype(int)
    stops = np.cumsum(vertices)
    starts = stops - vertices
    of = np.repeat(np.arange(count), vertices)
    angles = (np.arange(stops[-1]) - starts[of]) / vertices[of] * 2 * np.pi
    reach = rng.uniform(0.6, 1, len(of))[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.round(middles[of] + reach * sides[of] / 2, 2)
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    following = np.arange(1, len(of) + 1)
    following[stops - 1] = starts
    cross = points[:, 0] * points[following, 1] - points[following, 0] * points[:, 1]
    areas = np.round(np.abs(np.add.reduceat(cross, starts)) / 2, 5)
    boxes = np.round(np.hstack([low, np.maximum(high - low, 0.01)]), 2)
    return points.ravel().tolist(), (stops * 2).tolist(), boxes.tolist(), areas.tolist()


def run_lengths(rng: np.random.Generator, width: int, height: int) -> dict:
    """A crowd's mask as COCO writes it: runs of 0 and 1, column by column."""
    cuts = np.unique(rng.integers(0, width * height, int(rng.integers(100, 600))))
    return {"counts": np.diff(cuts, prepend=0, append=width * height).tolist(), "size": [height, width]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=1.0, help="of the images and annotations (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    images, annotations = max(1, round(IMAGES * options.share)), max(1, round(ANNOTATIONS * options.share))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    write_big_coco(options.out, images, annotations, options.seed)
    seconds, megabytes = time.perf_counter() - start, options.out.stat().st_size / 1e6
    print(f"{options.out}: {images} images, {annotations} annotations, {megabytes:.1f} MB, written in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
