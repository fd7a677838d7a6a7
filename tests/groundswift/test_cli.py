"""The `groundswift` command itself: its verbs, its help, and how errors end."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from groundswift import __version__
from groundswift.cli import VERBS, main
from groundswift.errors import fault


@click.command()
def stumble() -> None:
    """A verb that meets bad input."""
    raise fault("labels/7.txt:3", "got 4 fields", "5")


def called(*words: str):
    return CliRunner().invoke(main, words)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_verb_with_its_line(option):
    result = called(option)
    assert result.exit_code == 0
    for verb, (_, _, line) in VERBS.items():
        assert verb in result.output
        assert line in result.output


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(verb):
    result = called(verb, "--help")
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


def test_version():
    assert called("--version").output.split()[-1] == __version__


def test_an_error_of_ours_is_one_message_and_status_1(monkeypatch):
    monkeypatch.setitem(VERBS, "stumble", (__name__, "stumble", "Stumble."))
    result = called("stumble")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "error: labels/7.txt:3: got 4 fields; expected 5\n")


@pytest.mark.parametrize("words", [("walk",), ("--walk",), ("plugin", "--walk"), ("plugin", "further")])
def test_wrong_usage_is_status_2(words):
    result = called(*words)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr


def test_plugin_prints_the_file_that_swift_is_to_load():
    result = called("plugin")
    assert result.exit_code == 0
    path = Path(result.output.rstrip("\n"))
    assert path.is_absolute()
    assert path.name == "register.py"
    assert path.is_file()
