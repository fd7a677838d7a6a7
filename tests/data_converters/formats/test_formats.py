"""The table of formats: each has its verb with help and an example, its line in both READMEs, and options that a list of sets can spell."""

from __future__ import annotations

import inspect
from pathlib import Path

import click
import msgspec
import pytest
from converted import run

from groundswift.data_converters.base import Options
from groundswift.data_converters.cli_options import options_of
from groundswift.data_converters.registry import FORMATS, markdown_row

ROOT = Path(__file__).resolve().parents[3]
TEXT_OF = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README_CN.md")}


@pytest.mark.parametrize("name", FORMATS)
def test_a_verb_has_help_with_an_example(name):
    done = run("convert", name, "--help")
    assert done.exit_code == 0
    assert "Example:" in done.stdout
    assert f"groundswift convert {name} " in done.stdout
    assert "--on-error" in done.stdout


@pytest.mark.parametrize("name", FORMATS)
def test_every_option_has_a_description(name):
    struct = FORMATS[name].options()
    assert issubclass(struct, Options)
    assert struct.__struct_config__.forbid_unknown_fields
    assert struct.__doc__ != Options.__doc__
    assert inspect.signature(struct).parameters.keys() == {parameter.name for parameter in options_of(struct)}
    assert [each.name for each in options_of(struct) if isinstance(each, click.Option) and not each.help] == []
    assert msgspec.json.schema(struct)


def lines_of(readme: str) -> list[str]:
    """The table of formats in a README, without its head."""
    return [line for line in TEXT_OF[readme].splitlines() if line.startswith("| `groundswift convert ")]


def test_the_readme_has_the_table():
    assert lines_of("README.md") == list(map(markdown_row, FORMATS.values()))


def test_the_chinese_readme_has_a_line_for_each():
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines_of("README_CN.md")]
    assert [name for name, *_ in cells] == [f"`groundswift convert {name}`" for name in FORMATS]
    assert [line for line in cells if len(line) != 3 or not all(line)] == []


def test_the_readmes_count_the_formats():
    makers = sum(row.makes_rows for row in FORMATS.values())
    back = {4: "four", 5: "five", 6: "six"}[len(FORMATS) - makers]
    assert f"any of {makers} sources into rows for swift, and rows back into {back};" in TEXT_OF["README.md"]
    assert f"{makers} 种来源变成 swift 的行，也能变回 {len(FORMATS) - makers} 种格式" in TEXT_OF["README_CN.md"]


def test_the_formats_are_listed_without_loading_them():
    done = run("convert", "--help")
    assert [name for name in FORMATS if f"  {name} " not in done.stdout] == []
