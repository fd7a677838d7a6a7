"""A format that another package adds: found by its entry point, listed, converted with, and refused in words where it cannot be used."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process


MODULE = '''
import csv
from groundswift.data_converters.base import Options, Reading
from groundswift.records import Message, Row


def rows(item, log):
    number, (name, text) = item
    if text:
        yield Row([Message("user", "<image>What is it?"), Message("assistant", text)], [name], sample_id=number)
    else:
        log.count("text-empty", f"row {number}")


class PairsOptions(Options, frozen=True, kw_only=True):
    """Turn pairs of an image and a text into rows."""

    name, summary = "pairs", "Pairs from elsewhere."
    reads, writes = "CSV pairs", "captions"

    def open(self, log, pool):
        with open(self.annotations, newline="") as file:
            return Reading(list(enumerate(csv.reader(file), 1)), rows)
'''


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    code = "import sys; sys.path.insert(0, 'packages'); from groundswift.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def package(tmp_path):
    """Write a distribution whose entry point `name` is `value` -> the folder to run in."""

    def write(name: str, value: str) -> Path:
        info = tmp_path / "packages/pairs-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pairs\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[groundswift.formats]\n{name} = {value}\n")
        (tmp_path / "packages/their_pairs.py").write_text(MODULE)
        (tmp_path / "pairs.csv").write_text("a.jpg,A cat.\nb.jpg,\n")
        return tmp_path

    return write


def test_a_format_of_another_package_is_listed_and_converts(package):
    folder = package("pairs", "their_pairs:PairsOptions")
    assert "pairs          Pairs from elsewhere.\n" in run(folder, "convert", "--help").stdout
    done = run(folder, "convert", "pairs", "pairs.csv", "--out", "out.jsonl", "--workers", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1  text-empty: empty text  (row 2)" in done.stdout
    assert '"sample_id":1' in (folder / "out.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("coco", "their_pairs:PairsOptions", "format coco of their_pairs:PairsOptions: the name is taken by "),
        ("pears", "their_pairs:PairsOptions", "format pears: their_pairs:PairsOptions is not a format of this name; expected a subclass"),
        ("pairs", "their_pairs:rows", "their_pairs:rows is a function; expected a "),
        ("pairs", "their_pears:Options", "entry point pairs of groundswift.formats (package pairs): their_pears:Options cannot be loaded"),
    ],
)
def test_a_format_that_cannot_be_used_is_refused_in_words(package, name, value, said):
    refused = run(package(name, value), "convert", name, "pairs.csv", "--out", "out.jsonl")
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["convert", "--help"], ["convert", "coco", "--help"]])
def test_help_loads_nothing_heavy(tmp_path, arguments):
    code = "import sys\nfrom groundswift.cli import main\ntry:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert {"torch", "swift", "transformers", "pyarrow", "hotcoco", "pandas", "fsspec.generic"}.isdisjoint(done.stderr.split())
    assert len(arguments) > 1 or "numpy" not in done.stderr.split()
