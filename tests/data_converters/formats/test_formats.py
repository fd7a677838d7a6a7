"""The table of formats: each has its verb with help and an example, and options that a list of sets can spell."""

from __future__ import annotations

import inspect

import click
import msgspec
import pytest
from converted import run

from groundswift.data_converters.base import Options
from groundswift.data_converters.cli_options import options_of
from groundswift.data_converters.registry import FORMATS


@pytest.mark.parametrize("name", FORMATS)
def test_a_verb_has_help_with_an_example(name):
    done = run("convert", name, "--help")
    assert done.exit_code == 0
    assert "Example:" in done.stdout
    assert f"groundswift convert {name} " in done.stdout
    assert "--on-error" in done.stdout


@pytest.mark.parametrize("name", FORMATS)
def test_every_option_has_a_description(name):
    struct = FORMATS[name]
    assert issubclass(struct, Options)
    assert struct.__struct_config__.forbid_unknown_fields
    assert struct.__doc__ != Options.__doc__
    assert inspect.signature(struct).parameters.keys() == {parameter.name for parameter in options_of(struct)}
    assert [each.name for each in options_of(struct) if isinstance(each, click.Option) and not each.help] == []
    assert msgspec.json.schema(struct)


def test_the_formats_are_listed_without_loading_them():
    done = run("convert", "--help")
    assert [name for name in FORMATS if f"  {name} " not in done.stdout] == []
