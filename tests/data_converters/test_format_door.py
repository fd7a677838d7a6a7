"""A format that another package adds: found by its entry point, and refused in words where it cannot be used. `test_extending` converts."""

import re
import subprocess
import sys

import pytest
from converted import run

from groundswift.data_converters import cli, issues
from groundswift.data_converters.base import Options
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.registry import Formats
from groundswift.errors import GroundswiftError


class Pairs(Options, frozen=True, kw_only=True):
    """Turn pairs of an image and a text into rows."""

    name, summary, reads, writes = "pairs", "Pairs from elsewhere.", "CSV pairs", "captions"
    EXAMPLE = {"pairs.csv": "a.jpg,A cat.\n"}


class Bare(Options, frozen=True, kw_only=True):
    """A format that does not describe itself."""

    name, reads, writes = "bare", "CSV pairs", "captions"


class Plain(Pairs, frozen=True, kw_only=True):
    name = "plain"


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
        ("pears", "Pairs", "format pears: .*:Pairs is not a format of this name; expected a subclass of Options with name = 'pears'"),
        ("pairs", "pytest:fixture", "pytest:fixture is a function; expected a "),
        ("pairs", "their_pears:Options", r"pairs of groundswift.formats \(package pairs\): their_pears:Options cannot be loaded"),
        ("plain", "Plain", "format plain: .*:Plain has no docstring; expected one: it is the help of the command"),
        ("bare", "Bare", "format bare: .*:Bare has no summary, EXAMPLE; expected summary, reads, writes, EXAMPLE on the class"),
    ],
)
def test_a_format_that_cannot_be_used_is_refused_in_words_and_the_others_work(formats, monkeypatch, name, value, message):
    found = formats(name, value)
    with pytest.raises(GroundswiftError, match=message):
        found[name]
    monkeypatch.setattr(cli, "FORMATS", found)
    shown = run("convert", "--help")
    assert shown.exit_code == 0
    assert [line for line in shown.stdout.splitlines() if re.search(message, line)]
    assert "  llava  " in shown.stdout
    assert run("convert", "llava", "--help").exit_code == 0


def test_a_built_in_format_keeps_its_name(formats, monkeypatch):
    monkeypatch.setattr(cli, "FORMATS", formats("yolo", "Pairs"))
    shown = run("convert", "--help").stdout
    assert "  yolo  " in shown
    assert f"  format yolo of {__name__}:Pairs: the name is taken by groundswift.data_converters.formats.yolo.source:YoloOptions" in shown
    assert "convert yolo" in run("convert", "yolo", "--help").stdout


def test_a_format_has_issue_ids_of_its_own(monkeypatch):
    monkeypatch.setattr(issues, "TITLES", dict(issues.TITLES))

    class Counted(Pairs, frozen=True):
        issues = {"pair-blank": "pair without a text, dropped"}

    log = IssueLog()
    log.count("pair-blank", "row 2")
    assert log.lines() == ["       1  pair-blank: pair without a text, dropped  (row 2)"]
    with pytest.raises(GroundswiftError, match=r"issue id 'pair-blank' is taken \(pair without a text, dropped\); expected another one"):

        class Other(Pairs, frozen=True):
            issues = {"pair-blank": "other"}


@pytest.mark.process
@pytest.mark.parametrize("arguments", [["--help"], ["convert", "--help"], ["convert", "coco", "--help"]])
def test_help_loads_nothing_heavy(tmp_path, arguments):
    code = "import sys\nfrom groundswift.cli import main\ntry:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert {"torch", "swift", "transformers", "pyarrow", "hotcoco", "pandas", "fsspec.generic"}.isdisjoint(done.stderr.split())
    assert len(arguments) > 1 or "numpy" not in done.stderr.split()
