"""The report of 5,000 JPEGs of 640x480 with 36,000 boxes: time to write it, its size, its peak memory, and how soon a browser shows it.

What it is held against is decoding each image once at the same reduced size, with the same number of workers, in the same run. With
--linear the time of 1,250 images and of one image with many boxes is compared with that of four times as many; with --served 100,000 images
without pixels are opened and filtered through `groundswift browse`. A browser is used where Chromium is found (environment CHROMIUM, or one
of its usual names).

    python benchmarks/report.py
    python benchmarks/report.py --images 500 --boxes 3600
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import JSON, PeakOfAll, medians, options_of, rounds, show
from PIL import Image
from tqdm import tqdm

from groundswift.eval.evaluated_run import FN, FP, TP, DrawnBox, ImageResult, NumberTable, Run
from groundswift.eval.report.page import write_report
from groundswift.eval.report.thumbnails import look_for
from groundswift.images import OpenedImage
from groundswift.worker_pool import WorkerPool, processors

SIZE_WH = (640, 480)
CLASSES = [f"class {number}" for number in range(80)]
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
TARGETS = {"ratio": 1.3, "megabytes": 60, "opens_s": 2}


def field(side: int, seed: int) -> np.ndarray:
    """Noise whose power falls with its frequency, as that of photographs does: (side, side, 3) bytes."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    waves = [np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) / frequency**1.1) for _ in range(4)]
    waves = [(wave - wave.mean()) / wave.std() for wave in waves]
    return np.stack([np.clip(128 + 50 * waves[0] + 18 * wave, 0, 255) for wave in waves[1:]], axis=-1).astype(np.uint8)


def write_images(folder: Path, count: int) -> None:
    """JPEGs that all differ, about 100 kB each."""
    rng, whole = np.random.default_rng(1), field(2048, 0)
    for number in tqdm(range(count), desc="write images", unit="image"):
        x, y = rng.integers(0, [whole.shape[1] - SIZE_WH[0], whole.shape[0] - SIZE_WH[1]])
        Image.fromarray(whole[y : y + SIZE_WH[1], x : x + SIZE_WH[0]]).save(folder / f"{number:06d}.jpg", quality=88)


def drawn_run(images: int, boxes: int, seed: int = 0) -> Run:
    """A run whose predictions are the truth's boxes, moved, lost, or of another class."""
    rng = np.random.default_rng(seed)
    owner = np.sort(rng.integers(images, size=boxes)).tolist()
    sides = rng.uniform(0.05, 0.5, (boxes, 2)) * SIZE_WH
    corners = rng.uniform(0, 1, (boxes, 2)) * (np.array(SIZE_WH) - sides)
    xyxy = np.round(np.hstack([corners, corners + sides]), 2).tolist()
    classes, luck = rng.integers(len(CLASSES), size=boxes).tolist(), rng.uniform(size=boxes).tolist()
    results = [ImageResult(n, f"{n:06d}.jpg", SIZE_WH, "ok", [], [], 1.0, "[]") for n in range(images)]
    for image, box, number, chance in zip(owner, xyxy, classes, luck, strict=True):
        found = results[image]
        found.truth.append(DrawnBox(CLASSES[number], tuple(box), TP if chance < 0.7 else FN))
        if chance < 0.85:
            moved = tuple(min(max(value + 4, 0), 640) for value in box)
            found.predicted.append(DrawnBox(CLASSES[number], moved, TP if chance < 0.7 else FP, round(chance, 4)))
    for found in results:
        true = sum(box.outcome == TP for box in found.truth)
        found.f1 = 2 * true / (len(found.truth) + len(found.predicted)) if found.truth or found.predicted else 1.0
        found.response = " ".join(f"{box.label} {box.box_xyxy_px}" for box in found.predicted)
    metrics: dict[str, Any] = {"per_class": {name: {} for name in CLASSES}, "counts": {"images": images}, "protocol": {}, "warnings": []}
    return Run("run", metrics, [], results)


def decode(path: str, side: int) -> tuple[int, int]:
    """The size of an image that was decoded at reduced size."""
    return OpenedImage(path).decode_small(side).size


def decode_all(folder: Path, count: int) -> None:
    """Each image once, at the size that the report decodes it at, with as many workers."""
    with WorkerPool(processors()) as pool:
        paths = [str(folder / f"{number:06d}.jpg") for number in range(count)]
        assert sum(1 for _ in pool.in_order(paths, partial(decode, side=look_for(count).side))) == count


def browser() -> str | None:
    """A Chromium of this machine."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


def opening_s(page: Path, images: int) -> dict[str, float] | None:
    """Median seconds until all thumbnails of the first page are drawn, and until the whole file is read; None without a browser."""
    if not (program := browser()):
        return None
    from playwright.sync_api import sync_playwright

    times: dict[str, list[float]] = {"opens_s": [], "loads_s": []}
    with sync_playwright() as player:
        chromium = player.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(3):
            view = chromium.new_page(viewport={"width": 1400, "height": 900})
            began = time.perf_counter()
            view.goto(page.as_uri(), wait_until="commit")
            view.wait_for_selector("#cards[data-ready]", timeout=60_000)
            times["opens_s"].append(time.perf_counter() - began)
            view.wait_for_load_state("load")
            times["loads_s"].append(time.perf_counter() - began)
            view.close()
        chromium.close()
    return {name: statistics.median(found) for name, found in times.items()}


def served_s(images: int) -> dict[str, float]:
    """Seconds to make a site of that many images with 7.2 boxes each, to open it, and to filter its images by an outcome."""
    from playwright.sync_api import sync_playwright

    from groundswift.eval.browse.page_server import Server
    from groundswift.eval.browse.server import Site
    from groundswift.eval.report.page import report_of

    run, began = drawn_run(images, images * 36 // 5), time.perf_counter()
    site = Site(report_of([run], "Report", NumberTable([])), None)
    times = [time.perf_counter() - began]
    with Server(site, "127.0.0.1", 0) as server, sync_playwright() as player:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        chromium = player.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        view = chromium.new_page()
        for act in (lambda: view.goto(server.url), lambda: view.select_option("#filter-outcome", "fn")):
            began = time.perf_counter()
            act()
            view.wait_for_selector("#cards[data-ready]", state="attached")
            times.append(time.perf_counter() - began)
        chromium.close()
        server.shutdown()
    return dict(zip(("site_s", "served_opens_s", "served_filter_s"), times, strict=True))


def growth(folder: Path, out: Path, images: int) -> dict[str, float]:
    """How many times as long four times as many images, or boxes of one image, take."""
    table = NumberTable([])
    quarter = images // 4

    def seconds(run: Run, images_dir: Path | None) -> float:
        began = time.perf_counter()
        write_report([run], out, images_dir, "Growth", table)
        return time.perf_counter() - began

    runs = {count: drawn_run(count, 7 * count) for count in (quarter, 4 * quarter)}
    of_images = min(seconds(runs[4 * quarter], folder) for _ in range(2)) / min(seconds(runs[quarter], folder) for _ in range(2))
    one = {count: drawn_run(1, count) for count in (20_000, 80_000)}
    of_boxes = min(seconds(one[80_000], None) for _ in range(2)) / min(seconds(one[20_000], None) for _ in range(2))
    return {"four_times_the_images": of_images, "four_times_the_boxes_of_one": of_boxes}


def main() -> None:
    """Write the data, run both ways, print the figures."""
    options = options_of(
        __doc__ or "",
        images={"type": int, "default": 5000},
        boxes={"type": int, "default": 36_000},
        served={"action": "store_true", "help": "open 100,000 images through the server too"},
        linear={"action": "store_true", "help": "measure the growth too"},
        rounds=rounds(3),
        json=JSON,
    )
    with tempfile.TemporaryDirectory() as place:
        folder, page = Path(place) / "images", Path(place) / "report.html"
        folder.mkdir()
        write_images(folder, options.images)
        run, table = drawn_run(options.images, options.boxes), NumberTable([])
        ways = {
            "decode": lambda: decode_all(folder, options.images),
            "report": lambda: write_report([run], page, folder, "Report", table),
        }
        with PeakOfAll() as peak:
            seconds = medians(ways, options.rounds)
        result: dict[str, Any] = {"images": options.images, "boxes": options.boxes, "workers": processors(), "seconds": seconds}
        result |= {
            "ratio": seconds["report"] / seconds["decode"],
            "megabytes": page.stat().st_size / 1e6,
            "peak_megabytes": peak.bytes / 1e6,
        }
        result |= opening_s(page, options.images) or {}
        result |= growth(folder, page, options.images) if options.linear else {}
        result |= served_s(100_000) if options.served else {}
    lines = [f"{name:28} {value if isinstance(value, (int, dict)) else format(value, '.2f')}" for name, value in result.items()]
    show(result, options.json, [*lines, f"targets: {TARGETS}"])


if __name__ == "__main__":
    main()
