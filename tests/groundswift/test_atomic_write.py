"""Files and folders that appear whole or not at all: the primitives. Kills and full disks are tested with the commands that write."""

import ast
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from groundswift.atomic_write import new_folder, staged, write_whole
from groundswift.errors import GroundswiftError

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
