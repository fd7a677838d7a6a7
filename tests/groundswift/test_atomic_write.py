"""Files and folders that appear whole or not at all: the primitives. Full disks are tested with the commands that write."""

import ast
import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from groundswift import atomic_write
from groundswift.atomic_write import new_folder, remove_folder, staged, sync_together, write_together, write_whole
from groundswift.errors import GroundswiftError

EARLIER = b"an earlier file\n"
WRITERS = {  # name -> writes (number, line) pairs to a.jsonl and, if it can, b.jsonl of a folder
    "write_whole": lambda folder, lines: write_whole(folder / "a.jsonl", (line for _, line in lines)),
    "write_together": lambda folder, lines: write_together([folder / "a.jsonl", folder / "b.jsonl"], lines),
}
TREE = Path(__file__).parents[2]
MOVES = {("os", "replace"), ("os", "rename"), ("os", "link"), ("tempfile", "NamedTemporaryFile")}
ELSEWHERE = {"data_converters/engine/resumable_output.py": {"replace"}}  # a partial file that stays for --resume


def written(place: Path, folder: bool) -> None:
    if folder:
        place.mkdir()
        place = place / "file"
    place.write_text("new")


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
@pytest.mark.parametrize("stop", [None, KeyboardInterrupt, OSError, SystemExit])
def test_what_is_staged_appears_at_the_end_or_leaves_nothing(tmp_path, folder, stop):
    def fill() -> None:
        with staged(tmp_path / "out") as place:
            written(place, folder)
            assert not (tmp_path / "out").exists()
            if stop:
                raise stop

    with pytest.raises(stop) if stop else nullcontext():
        fill()
    assert [path.name for path in tmp_path.iterdir()] == ([] if stop else ["out"])


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_without_replace_the_first_one_stays(tmp_path, folder):
    out = tmp_path / "out"

    def fill() -> None:
        with staged(out, replace=False) as place:
            written(place, folder)
            written(out, folder)
            (out / "file" if folder else out).write_text("first")

    with pytest.raises(FileExistsError):
        fill()
    assert (out / "file" if folder else out).read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_without_hard_links_a_file_is_moved(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("groundswift.atomic_write.os.link", refuse)
    with staged(tmp_path / "out", replace=False) as place:
        written(place, False)
    assert (tmp_path / "out").read_text() == "new"


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_a_new_folder_replaces_nothing(tmp_path, there):
    out, other = tmp_path / "out", tmp_path / "other"
    other.mkdir()
    if there == "link":
        out.symlink_to(other)
    else:
        written(out, there == "folder")
    with pytest.raises(GroundswiftError, match="out: exists already"), new_folder(out):
        pass


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    with pytest.raises(GroundswiftError, match="is a folder or device"):
        write_whole(tmp_path, [b"new"])


def test_a_link_keeps_pointing(tmp_path):
    (tmp_path / "link").symlink_to("out")
    write_whole(tmp_path / "link", [b"new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "out").read_bytes() == b"new"


@pytest.mark.parametrize("stop", [GroundswiftError("bad"), KeyboardInterrupt(), SystemExit(3), OSError(5, "other file", "other")])
@pytest.mark.parametrize("writer", WRITERS)
def test_an_error_of_the_lines_leaves_what_was_there(tmp_path, writer, stop):
    def lines():
        yield 0, b"half\n"
        raise stop

    (tmp_path / "a.jsonl").write_bytes(EARLIER)
    for folder in [tmp_path] if writer == "write_whole" else [tmp_path, tmp_path / "new"]:
        with pytest.raises((type(stop), GroundswiftError)) as raised:
            WRITERS[writer](folder, lines())
        assert raised.value is stop or writer == "write_together"
    assert (tmp_path / "a.jsonl").read_bytes() == EARLIER
    assert os.listdir(tmp_path) == ["a.jsonl"]


@pytest.mark.parametrize("earlier", [True, False])
def test_if_one_file_cannot_be_moved_the_others_are_put_back(tmp_path, earlier):
    paths = [tmp_path / "out" / name for name in "abc"]
    if earlier:
        paths[0].parent.mkdir()
        paths[0].write_bytes(EARLIER)

    def lines():
        yield 0, b"new\n"
        yield 2, b"new\n"
        paths[2].mkdir()
        (paths[2] / "in the way").touch()

    with pytest.raises(GroundswiftError, match=r"out: cannot be written"):
        write_together(paths, lines())
    assert sorted(os.listdir(tmp_path / "out")) == (["a", "c"] if earlier else ["c"])
    assert not earlier or paths[0].read_bytes() == EARLIER


SLOW = """
import signal, sys, time
from pathlib import Path
from test_atomic_write import WRITERS

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with Ctrl-C ignored

def lines():
    yield 0, b"x" * 1_000_000  # more than a buffer holds, so that the file has begun
    print("begun", flush=True)
    for _ in range(1200):  # short sleeps: a signal between the print and one long sleep would be seen after it
        time.sleep(0.05)

WRITERS[sys.argv[1]](Path(sys.argv[2]), lines())
"""


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_killed_process_leaves_the_earlier_files(tmp_path, writer, number):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(EARLIER)
    command = [sys.executable, "-c", SLOW, writer, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path(__file__).parent) as process:
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(number)
        assert process.wait(timeout=30) != 0
    assert [(tmp_path / name).read_bytes() for name in ("a.jsonl", "b.jsonl")] == [EARLIER, EARLIER]
    if number != signal.SIGKILL:  # which no process outlives to clean up
        assert sorted(os.listdir(tmp_path)) == ["a.jsonl", "b.jsonl"]


TWICE = """
import os, signal
from groundswift.atomic_write import sigterm_as_exit

with sigterm_as_exit():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        print("cleaned up")
"""


@pytest.mark.process
def test_a_second_sigterm_does_not_stop_the_cleaning_up():
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "cleaned up\n", "")


@pytest.mark.process
def test_whole_files_are_written_in_one_place_only():
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=TREE, capture_output=True, text=True, check=True).stdout.split()
    found: dict[str, set[str]] = {}
    for name in listed:
        if not name.startswith(("tests/", "benchmarks/", "docs/", "groundswift/atomic_")) and (TREE / name).exists():
            for node in ast.walk(ast.parse((TREE / name).read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in MOVES:
                    found.setdefault(name, set()).add(node.attr)
    assert found == ELSEWHERE


@pytest.mark.parametrize("names", [[], ["a", "b"], ["a", "inner/b"]])
def test_a_folder_is_removed_with_what_it_holds(tmp_path, names):
    folder = tmp_path / "folder"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    remove_folder(folder)
    assert not folder.exists()


def test_a_link_in_a_folder_is_removed_and_not_its_target(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "a").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "target")
    remove_folder(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    assert (tmp_path / "target" / "a").exists()


def test_files_are_flushed_together(tmp_path, monkeypatch):
    """Each flush waits until the other one has started."""
    paths, both = [tmp_path / "a", tmp_path / "b"], threading.Barrier(2, timeout=60)
    monkeypatch.setattr(atomic_write, "sync", lambda path: both.wait() and None)
    sync_together(paths)
    assert both.n_waiting == 0
    assert not both.broken


def test_a_file_that_cannot_be_flushed_is_named(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(GroundswiftError, match=f"{tmp_path / 'b'}: cannot be written .No such file"):
        sync_together([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_flushed_unless_somebody_else_does(tmp_path, monkeypatch, durable):
    flushed = []
    monkeypatch.setattr(atomic_write, "sync", flushed.append)
    write_whole(tmp_path / "a", [b"text"], durable)
    assert bool(flushed) == durable
