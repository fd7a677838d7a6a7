"""Crops and drawn frames against decoding and encoding the same images, timed in one run on the same number of processes.

    python benchmarks/anomaly.py                    # 300 frames of 1280 x 720, 3 objects each
    python benchmarks/anomaly.py --frames 10000     # the size that the target is of

crop, draw   the commands, from YOLO labels to images and rows
floor        only what cannot be saved: each frame decoded, each crop (or the frame) encoded and written, by the same pool of workers

Medians of --repeats rounds in which each way has its turn, in seconds and in seconds of CPU of all processes: the latter hold on a machine
that does other work too.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import tempfile
from functools import partial
from io import BytesIO
from pathlib import Path

from measure import JSON, medians, options_of, rounds, show
from PIL import Image
from tqdm import tqdm

from groundswift.data_converters.anomaly.crop import CropOptions, crop_box
from groundswift.data_converters.anomaly.draw import DrawOptions
from groundswift.data_converters.engine.convert import RunOptions, convert_to_file
from groundswift.data_converters.issues import IssueLog
from groundswift.images import open_image
from groundswift.worker_pool import WorkerPool, processors

SIZE_WH = (1280, 720)
OBJECTS = 3
TARGET = 1.2
Task = tuple[str, list[list[float]], str]


def lay_out(root: Path, frames: int) -> list[tuple[str, list[list[float]]]]:
    """Draw frames with noise, as cameras have it, and their labels -> path and boxes in px of each."""
    chance, made = random.Random(7), []
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    noise = [Image.effect_noise(SIZE_WH, 40).convert("RGB") for _ in range(4)]
    for number in tqdm(range(frames), desc="draw frames", unit="frame"):
        path, boxes, lines = root / f"images/{number:06}.jpg", [], []
        noise[number % len(noise)].save(path, quality=90)
        for _ in range(OBJECTS):
            width, height = chance.randint(40, 320), chance.randint(40, 240)
            x, y = chance.randint(0, SIZE_WH[0] - width), chance.randint(0, SIZE_WH[1] - height)
            boxes.append([x, y, x + width, y + height])
            fractions = ((x + width / 2) / SIZE_WH[0], (y + height / 2) / SIZE_WH[1], width / SIZE_WH[0], height / SIZE_WH[1])
            lines.append(f"{chance.randrange(3)} {' '.join(map(repr, fractions))}\n")
        (root / f"labels/{number:06}.txt").write_text("".join(lines))
        made.append((str(path), boxes))
    (root / "data.yaml").write_text("train: images\nnames: [tip, plate, bubble]\n")
    return made


def encoded(image: Image.Image, path: str) -> None:
    """Write an image as the commands encode it."""
    data = BytesIO()
    image.save(data, "JPEG", quality=95, subsampling=0)
    Path(path).write_bytes(data.getvalue())


def floor_of_crop(task: Task) -> None:
    """Decode a frame, encode its crops."""
    path, boxes, out = task
    image = open_image(path)
    for number, box in enumerate(boxes):
        encoded(image.crop(crop_box(box, SIZE_WH, 0.1, 56)), f"{out}_{number}.jpg")


def floor_of_draw(task: Task) -> None:
    """Decode a frame, encode it."""
    encoded(open_image(task[0]), f"{task[2]}.jpg")


def floor(work, frames: list[tuple[str, list[list[float]]]], out: Path, workers: int) -> None:
    """The floor of a command on so many processes."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    tasks = ((path, boxes, os.path.join(out, Path(path).stem)) for path, boxes in frames)
    with WorkerPool(workers) as pool:
        for _ in pool.in_order(tasks, work):
            pass


def command(kind, root: Path, out: Path, workers: int) -> None:
    """A command on so many processes."""
    shutil.rmtree(out, ignore_errors=True)
    options = kind(annotations=str(root), save_images=str(out))
    convert_to_file(options, out.with_suffix(".jsonl"), RunOptions(workers, progress=False), IssueLog("stop"))


def cpu_s() -> float:
    """Seconds of CPU of this process and of those that have ended."""
    return sum(os.times()[:4])


def counted(way, used: list[float]) -> None:
    """Run a way and keep the CPU that it used."""
    began = cpu_s()
    way()
    used.append(cpu_s() - began)


def main() -> None:
    options = options_of(
        __doc__,
        frames={"type": int, "default": 300, "help": "frames (default: %(default)s)"},
        workers={"type": int, "default": processors(), "help": "processes (default: one per CPU)"},
        repeats=rounds(3),
        json=JSON,
    )
    with tempfile.TemporaryDirectory() as folder:
        root, count = Path(folder, "set"), options.workers
        frames = lay_out(root, options.frames)
        ways = {
            "crop": partial(command, CropOptions, root, Path(folder, "crop"), count),
            "crop floor": partial(floor, floor_of_crop, frames, Path(folder, "crop-floor"), count),
            "draw": partial(command, DrawOptions, root, Path(folder, "draw"), count),
            "draw floor": partial(floor, floor_of_draw, frames, Path(folder, "draw-floor"), count),
        }
        used: dict[str, list[float]] = {name: [] for name in ways}
        seconds = medians({name: partial(counted, way, used[name]) for name, way in ways.items()}, options.repeats)
    cpu = {name: statistics.median(found) for name, found in used.items()}
    ratios = {name: seconds[name] / seconds[f"{name} floor"] for name in ("crop", "draw")}
    of_cpu = {name: cpu[name] / cpu[f"{name} floor"] for name in ratios}
    lines = [f"{options.frames:,} frames of {SIZE_WH[0]} x {SIZE_WH[1]} px, {OBJECTS} objects each, {count} processes"]
    lines += [
        f"  {name:<12} {value:8.2f} s  {cpu[name]:8.2f} s of CPU  {options.frames / value:8.1f} frames/s" for name, value in seconds.items()
    ]
    lines += [f"  {name} / floor {ratio:9.2f}    of CPU {of_cpu[name]:.2f}    (target: at most {TARGET})" for name, ratio in ratios.items()]
    show({"seconds": seconds, "cpu_seconds": cpu, "ratios": ratios, "cpu_ratios": of_cpu, "frames": options.frames}, options.json, lines)


if __name__ == "__main__":
    main()
