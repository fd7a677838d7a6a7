"""A format that another package adds: found by its entry point, and refused in words where it cannot be used. `test_extending` converts."""

import subprocess
import sys

import pytest

from groundswift.data_converters.base import Options
from groundswift.data_converters.registry import Formats
from groundswift.errors import GroundswiftError


class Pairs(Options, frozen=True, kw_only=True):
    """Turn pairs of an image and a text into rows."""

    name, summary, reads, writes = "pairs", "Pairs from elsewhere.", "CSV pairs", "captions"
    EXAMPLE = {"pairs.csv": "a.jpg,A cat.\n"}


class Bare(Options, frozen=True, kw_only=True):
    """A format that does not describe itself."""

    name, reads, writes = "bare", "CSV pairs", "captions"


@pytest.fixture
def formats(tmp_path, monkeypatch):
    """The formats where a distribution has an entry point `name` for something of this module, or of one that does not exist."""

    def with_entry(name: str, value: str) -> Formats:
        info = tmp_path / "pairs-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pairs\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[groundswift.formats]\n{name} = {value if ':' in value else f'{__name__}:{value}'}\n")
        monkeypatch.syspath_prepend(tmp_path)
        return Formats()

    return with_entry


def test_a_format_of_another_package_is_found(formats):
    found = formats("pairs", "Pairs")
    assert "pairs" in list(found)
    assert found["pairs"] is Pairs


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("coco", "Pairs", "format coco of .*:Pairs: the name is taken by "),
        ("pears", "Pairs", "format pears: .*:Pairs is not a format of this name; expected a subclass of Options with name = 'pears'"),
        ("pairs", "pytest:fixture", "pytest:fixture is a function; expected a "),
        ("pairs", "their_pears:Options", r"pairs of groundswift.formats \(package pairs\): their_pears:Options cannot be loaded"),
        ("bare", "Bare", "format bare: .*:Bare has no summary, EXAMPLE; expected summary, reads, writes, EXAMPLE on the class"),
    ],
)
def test_a_format_that_cannot_be_used_is_refused_in_words(formats, name, value, message):
    with pytest.raises(GroundswiftError, match=message):
        formats(name, value)[name]


@pytest.mark.process
@pytest.mark.parametrize("arguments", [["--help"], ["convert", "--help"], ["convert", "coco", "--help"]])
def test_help_loads_nothing_heavy(tmp_path, arguments):
    code = "import sys\nfrom groundswift.cli import main\ntry:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert {"torch", "swift", "transformers", "pyarrow", "hotcoco", "pandas", "fsspec.generic"}.isdisjoint(done.stderr.split())
    assert len(arguments) > 1 or "numpy" not in done.stderr.split()
