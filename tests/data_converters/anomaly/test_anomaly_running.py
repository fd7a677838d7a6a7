"""The stages on workers, with a seed, killed and resumed: the same bytes each time, of the rows and of the images."""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import threading
import time
from pathlib import Path

import pytest
from anomaly_set import lay_out_frames
from tqdm import tqdm

from groundswift.data_converters.anomaly import frames
from groundswift.data_converters.anomaly.bare import LocateOptions
from groundswift.data_converters.anomaly.crop import CropOptions
from groundswift.data_converters.anomaly.draw import DrawOptions
from groundswift.data_converters.engine import resumable_output as journal
from groundswift.data_converters.engine.batches import blocks_of
from groundswift.data_converters.engine.convert import RunOptions, convert_to_file
from groundswift.data_converters.issues import IssueLog

STAGES = {
    "crop": lambda root, **more: CropOptions(annotations=str(root / "set"), save_images=str(root / "new"), **more),
    "draw": lambda root, **more: DrawOptions(annotations=str(root / "set"), save_images=str(root / "new"), tags="label", **more),
    "locate": lambda root, **more: LocateOptions(annotations=str(root / "set"), anomaly=("bubble",), **more),
}


def make(stage: str, root: Path, workers: int = 1, resume: bool = False, **more) -> None:
    convert_to_file(STAGES[stage](root, **more), root / "out.jsonl", RunOptions(workers, resume=resume, progress=False), IssueLog("stop"))


def state(root: Path) -> dict[str, str]:
    """Every file that a stage left, hidden ones too -> a hash of its content."""
    paths = [path for name in ("new", "out.jsonl") for path in [root / name, *(root / name).rglob("*")] if path.is_file()]
    paths += [path for path in root.iterdir() if path.name.startswith(".")]
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.process
@pytest.mark.parametrize("stage", STAGES)
def test_workers_and_seeds(tmp_path, stage):
    lay_out_frames(tmp_path / "set", 40)
    found = {}
    for name, workers, seed in (("alone", 1, 5), ("together", 2, 5), ("again", 1, 5), ("another", 1, 6)):
        make(stage, tmp_path, workers, seed=seed)
        found[name] = state(tmp_path)
    assert found["alone"] == found["together"] == found["again"]
    assert found["alone"]["out.jsonl"] != found["another"]["out.jsonl"]


def killed(stage: str, root: Path, after_s: float, workers: int) -> bool:
    """A process that enters every block in its journal, killed after a while -> whether it was."""

    def run() -> None:
        tqdm.set_lock(threading.RLock())  # not the one that it shares with this process, which would stay locked after a kill
        journal.SECONDS = 0
        make(stage, root, workers, resume=True)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    time.sleep(after_s)
    process.kill()
    process.join()
    return process.exitcode < 0


def killed_and_resumed(stage: str, root: Path, kills: int, workers: int) -> None:
    """The result of a run that was killed at random moments is that of an undisturbed one, and nothing else is left."""
    began = time.monotonic()
    make(stage, root)
    took_s, expected = time.monotonic() - began, state(root)
    chance, were_killed = random.Random(kills), 0
    for kill in range(kills):
        if kill % 5 == 0:  # from the start again
            for name in expected:
                (root / name).unlink(missing_ok=True)
            make_room(root)
        were_killed += killed(stage, root, chance.uniform(0, took_s), workers)
    make(stage, root, resume=True)
    assert state(root) == expected
    assert were_killed > kills / 3


def make_room(root: Path) -> None:
    for path in root.iterdir():
        if path.name.startswith("."):
            path.unlink()


def test_a_worker_gets_few_images_at_a_time():
    """In blocks as large as those of rows, two workers would make 300 images one after the other."""
    options = CropOptions(annotations="set", save_images="out", limit=300)
    sizes = [len(block) for block in blocks_of(range(1000), options)]
    assert (sum(sizes), max(sizes)) == (300, 8)


@pytest.fixture
def small_blocks(monkeypatch) -> None:
    for options in (CropOptions, DrawOptions):
        monkeypatch.setattr(options, "items_per_block", 4)


@pytest.mark.process
@pytest.mark.parametrize("stage", ["crop", "draw"])
def test_a_few_kills(tmp_path, small_blocks, stage):
    lay_out_frames(tmp_path / "set", 60)
    killed_and_resumed(stage, tmp_path, 6, workers=1)


@pytest.mark.long
@pytest.mark.parametrize(("stage", "workers"), [("crop", 1), ("draw", 2)])
def test_fifty_kills(tmp_path, small_blocks, stage, workers):
    lay_out_frames(tmp_path / "set", 120)
    killed_and_resumed(stage, tmp_path, 50, workers)


def test_a_run_that_resumes_makes_only_the_rest(tmp_path, small_blocks, monkeypatch):
    """Images of finished blocks are not decoded again."""
    lay_out_frames(tmp_path / "set", 60)
    make("crop", tmp_path)
    expected, seen, real = state(tmp_path), [], frames.decoded

    def decoded(path, log):
        seen.append(path)
        if len(seen) == 31:
            raise KeyboardInterrupt
        return real(path, log)

    monkeypatch.setattr(frames, "decoded", decoded)
    (tmp_path / "out.jsonl").unlink()
    with pytest.raises(KeyboardInterrupt):
        make("crop", tmp_path)
    make("crop", tmp_path, resume=True)
    assert len(seen) == 31 + 59 - 28  # the eighth block again
    assert state(tmp_path) == expected
