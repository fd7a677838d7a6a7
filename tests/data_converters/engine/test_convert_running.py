"""The engine behind every format: on processes, killed and resumed. The rows are the same bytes each time."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from tqdm import tqdm

from groundswift.data_converters.engine import batches as blocks
from groundswift.data_converters.engine import convert as run
from groundswift.data_converters.engine import resumable_output as journal
from groundswift.data_converters.engine.convert import RunOptions, convert_to_file, state_of
from groundswift.data_converters.formats.coco.source import CocoOptions
from groundswift.data_converters.formats.llava import LlavaOptions
from groundswift.data_converters.issues import IssueLog
from groundswift.errors import GroundswiftError

GROUNDSWIFT = [sys.executable, "-m", "groundswift.cli", "convert", "coco"]
QUIET, RESUMED = RunOptions(progress=False), RunOptions(resume=True, progress=False)


@pytest.fixture
def many(tmp_path) -> Path:
    """40 blocks of images with a few problems that are skipped, so that counts must survive too."""
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 64, "height": 48} for i in range(1, 40 * blocks.ITEMS)]
    annotations = [
        {"id": i, "image_id": i, "category_id": 1 + i % 3, "bbox": [i % 60, 1, 3 if i % 500 else -3, 4.5]} for i in range(1, len(images))
    ]
    path = tmp_path / "many.json"
    categories = [{"id": i, "name": f"class {i}"} for i in (1, 2, 3)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def options(path: Path, **more) -> CocoOptions:
    return CocoOptions(annotations=str(path), check_images=False, on_error="skip", **more)


def convert(path: Path, out: Path, how: RunOptions = QUIET, **more) -> dict:
    """Convert -> the counts by reason."""
    log = IssueLog("skip")
    convert_to_file(options(path, **more), out, how, log)
    return {"counts": dict(log.counted.counts), "examples": log.counted.examples}


def leftovers(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir() if path.name.startswith("."))


@pytest.mark.process
def test_workers_make_the_same_bytes(many, tmp_path):
    alone = convert(many, tmp_path / "alone.jsonl")
    together = convert(many, tmp_path / "together.jsonl", RunOptions(workers=2, progress=False))
    assert (tmp_path / "alone.jsonl").read_bytes() == (tmp_path / "together.jsonl").read_bytes()
    assert alone == together
    assert alone["counts"]["box-inverted"] == len(range(500, 40 * blocks.ITEMS - 1, 500))


@pytest.mark.process
@pytest.mark.parametrize("limit", [1, blocks.ITEMS, blocks.ITEMS + 1])
@pytest.mark.parametrize("workers", [1, 2])
def test_limit_ends_within_and_between_blocks(many, tmp_path, limit, workers):
    convert(many, tmp_path / "out.jsonl", RunOptions(workers=workers, progress=False), limit=limit)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == limit


def killed(many: Path, out: Path, after_s: float, how: RunOptions) -> None:
    """A process of its own that enters every block in its journal, killed after a while."""

    def run() -> None:
        tqdm.set_lock(threading.RLock())  # not the one that it shares with this process, which would stay locked after a kill
        journal.SECONDS = 0
        convert(many, out, how)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    time.sleep(after_s)
    process.kill()
    process.join()


@pytest.mark.process
@pytest.mark.parametrize(("workers", "kills"), [(1, 50), (2, 20)])
def test_a_kill_at_any_moment_then_resume_ends_in_the_same_file(many, tmp_path, workers, kills):
    how = RunOptions(workers, progress=False)
    expected = convert(many, tmp_path / "expected.jsonl")
    started = time.monotonic()
    killed(many, tmp_path / "timed.jsonl", 0, how)
    overhead = time.monotonic() - started
    journal_seconds, journal.SECONDS = journal.SECONDS, 0
    started = time.monotonic()
    convert(many, tmp_path / "timed.jsonl", how)
    whole = time.monotonic() - started
    journal.SECONDS = journal_seconds
    rng, gone_on_with = random.Random(7), 0
    for number in range(kills):
        out = tmp_path / f"{number}" / "out.jsonl"
        out.parent.mkdir()
        out.write_bytes(b"an earlier file\n")
        killed(many, out, rng.uniform(0, overhead + whole), how)
        if leftovers(out):
            assert out.read_bytes() == b"an earlier file\n"
        gone_on_with += ".out.jsonl.journal" in leftovers(out)
        assert convert(many, out, RunOptions(workers, resume=True, progress=False)) == expected
        assert out.read_bytes() == (tmp_path / "expected.jsonl").read_bytes()
        assert leftovers(out) == []
    assert gone_on_with >= kills / 10, "the kills came too early or too late to try anything"


def half_done(many: Path, out: Path) -> None:
    """What a run leaves that is killed after 5 blocks."""
    under_way = journal.Output(out, {}, IssueLog("skip"))
    add = journal.Output.add

    def stop_at_five(self, made):
        add(self, made)
        if self.blocks == 5:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.Output, "add", stop_at_five)
        with pytest.raises(KeyboardInterrupt):
            convert(many, out)
    assert under_way.partial.exists()
    assert json.loads(under_way.journal.read_bytes())["blocks"] == 5


def test_resume_makes_only_what_is_missing(many, tmp_path, monkeypatch):
    out = tmp_path / "out.jsonl"
    expected = convert(many, tmp_path / "expected.jsonl")
    half_done(many, out)
    made = []
    monkeypatch.setattr(run, "make_block", lambda *each, make=blocks.make_block: made.append(1) or make(*each))
    assert convert(many, out, RESUMED) == expected
    assert len(made) == 35
    assert out.read_bytes() == (tmp_path / "expected.jsonl").read_bytes()


def test_without_resume_it_begins_anew(many, tmp_path):
    out = tmp_path / "out.jsonl"
    half_done(many, out)
    convert(many, out, limit=3)
    assert len(out.read_text().splitlines()) == 3
    assert leftovers(out) == []


@pytest.mark.parametrize(("change", "message"), [("an option", "--seed"), ("the source", "source")])
def test_resume_of_something_else_is_refused(many, tmp_path, change, message):
    """What the killed run has made stays, for the command as it was."""
    out = tmp_path / "out.jsonl"
    half_done(many, out)
    if change == "the source":
        os.utime(many, (1, 1))
    with pytest.raises(GroundswiftError, match=f"out.jsonl: the killed run had different {message}; expected the same source and options"):
        convert(many, out, RESUMED, **({"seed": 3} if change == "an option" else {}))
    assert json.loads((tmp_path / ".out.jsonl.journal").read_bytes())["blocks"] == 5
    assert (tmp_path / ".out.jsonl.partial").stat().st_size > 0


def test_a_source_that_is_a_folder(tmp_path):
    """Its state is that of all files in it, less those that a run writes there itself."""
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations/a\udcff.xml").write_text("one")
    before = state_of(str(tmp_path))
    for name in (".train.jsonl.partial", "truth.json"):
        (tmp_path / name).write_text("written by the run")
    assert state_of(str(tmp_path), str(tmp_path / "truth.json")) == before
    assert json.loads(json.dumps(before)) == before
    (tmp_path / "Annotations/a\udcff.xml").write_text("other")
    assert state_of(str(tmp_path), str(tmp_path / "truth.json")) != before


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"run": 3}', b'{"run": {}, "left_out": {}}'])
def test_a_spoilt_journal_or_one_of_an_older_version_is_refused(many, tmp_path, text):
    out = tmp_path / "out.jsonl"
    half_done(many, out)
    (tmp_path / ".out.jsonl.journal").write_bytes(text)
    with pytest.raises(GroundswiftError, match=r"\.out\.jsonl\.journal: cannot be read .*, or no --resume to start over"):
        convert(many, out, RESUMED)


def test_two_runs_at_once_on_one_file(many, tmp_path):
    out = tmp_path / "out.jsonl"
    first = journal.Output(out, {}, IssueLog())
    first.open(False)
    with pytest.raises(GroundswiftError, match="another conversion is writing this file"):
        convert(many, out)
    assert first.partial.exists()
    first.close()


def test_names_that_no_text_can_hold(tmp_path):
    """A folder whose name is no UTF-8, as an archive of another language leaves it."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this disk has no such names")
    row = {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}
    (folder / "own.jsonl").write_text(f"{json.dumps(row | {'image': 'a.jpg'})}\n{json.dumps(row | {'id': 'text'})}\n")
    options = LlavaOptions(annotations=str(folder / "own.jsonl"), check_images=False)
    with pytest.raises(GroundswiftError, match=r"1  name-not-utf8: .*\n.*\\udcff/a\.jpg': not UTF-8, .* to a row; expected files"):
        convert_to_file(options, tmp_path / "out.jsonl", QUIET, IssueLog())
    options, log = msgspec.structs.replace(options, on_error="skip"), IssueLog("skip")
    assert convert_to_file(options, tmp_path / "out.jsonl", QUIET, log).rows == 1
    assert log.counted.counts == {"name-not-utf8": 1}


def test_a_journal_holds_names_that_no_text_can_hold(tmp_path):
    """As the state of a folder of labels has them."""
    log, run_of_it = IssueLog("skip"), {"source": {"annotations": [["\udcff.txt", 3, 4]]}}
    for resume in (False, True):
        under_way = journal.Output(tmp_path / "out.jsonl", run_of_it, log)
        under_way.open(resume)
        under_way.enter()
        under_way.close()
    with pytest.raises(GroundswiftError, match="the killed run had different source"):
        journal.Output(tmp_path / "out.jsonl", {"source": {}}, log).open(True)


def test_a_run_that_begins_as_another_ends(tmp_path, monkeypatch):
    """It has opened what is the other's output by the time that it gets the lock."""
    out = tmp_path / "out.jsonl"
    first, second, lock = journal.Output(out, {}, IssueLog()), journal.Output(out, {}, IssueLog()), journal.Output._lock
    first.open(False)
    first.file.write(b"whole\n")

    def lock_late(self, file):
        if not out.exists():
            first.finish()
            first.close()
        lock(self, file)

    monkeypatch.setattr(journal.Output, "_lock", lock_late)
    second.open(False)
    assert out.read_bytes() == b"whole\n"
    assert leftovers(out) == [".out.jsonl.partial"]
    second.close()


def test_a_disk_that_fails_meanwhile_is_reported(many, tmp_path, monkeypatch):
    """The system reports it once, to the next flush: that is not the one at the end."""
    monkeypatch.setattr(journal, "WRITE_BACK", 1)
    asked, fsync = [], os.fsync

    def full_at_first(number: int) -> None:
        asked.append(number)
        if len(asked) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(number)

    monkeypatch.setattr(os, "fsync", full_at_first)
    with pytest.raises(GroundswiftError, match=r"out\.jsonl: cannot be written \(No space left on device\)"):
        convert(many, tmp_path / "out.jsonl", limit=blocks.ITEMS)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_disk_without_locks(many, tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    convert(many, tmp_path / "out.jsonl", limit=3)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_stopped_command_goes_on(many, tmp_path, number):
    """The real command, stopped once its journal is there."""
    out = tmp_path / "out" / "train.jsonl"
    out.parent.mkdir()
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from groundswift.data_converters.engine import resumable_output; resumable_output.SECONDS = 0\n"
        "from groundswift.cli import main; main()"
    )
    arguments = ["convert", "coco", many, "--no-check-images", "--on-error", "skip", "--out", out]
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        while not (out.parent / ".train.jsonl.journal").exists():
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(number)
        _, printed = process.communicate(timeout=60)
    assert process.returncode != 0
    assert not out.exists()
    assert "Traceback" not in printed
    done = subprocess.run([*GROUNDSWIFT, *arguments[2:], "--resume"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    convert(many, tmp_path / "expected.jsonl")
    assert out.read_bytes() == (tmp_path / "expected.jsonl").read_bytes()
