"""The `groundswift` command itself: its subcommands, its help, and how errors end."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from groundswift import __version__
from groundswift.cli import SUBCOMMANDS, main
from groundswift.errors import error_at


@click.command()
def stumble() -> None:
    """A subcommand that meets bad input."""
    raise error_at("labels/7.txt:3", "got 4 fields", "5")


def called(*words: str):
    return CliRunner().invoke(main, words)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_subcommand_with_its_line(option):
    result = called(option)
    assert result.exit_code == 0
    for name, (_, _, line) in SUBCOMMANDS.items():
        assert name in result.output
        assert line in result.output


@pytest.mark.parametrize("name", sorted(SUBCOMMANDS))
def test_every_subcommand_has_help(name):
    result = called(name, "--help")
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


def test_version():
    assert called("--version").output.split()[-1] == __version__


def test_an_error_of_ours_is_one_message_and_status_1(monkeypatch):
    monkeypatch.setitem(SUBCOMMANDS, "stumble", (__name__, "stumble", "Stumble."))
    result = called("stumble")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "error: labels/7.txt:3: got 4 fields; expected 5\n")


@pytest.mark.parametrize("words", [("walk",), ("--walk",), ("plugin", "--walk"), ("plugin", "further")])
def test_wrong_usage_is_status_2(words):
    result = called(*words)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [(("evla",), "eval"), (("anomaly", "drow"), "draw"), (("convert", "coc"), "coco"), (("eval", "coco-mpa"), "coco-map")],
)
def test_a_subcommand_with_a_slip_gets_the_one_that_was_meant(words, meant):
    result = called(*words)
    assert result.exit_code == 2
    assert f"Error: No such command '{words[-1]}'; did you mean {meant}?" in result.stderr


def test_plugin_prints_the_file_that_swift_is_to_load():
    result = called("plugin")
    path = Path(result.output.rstrip("\n"))
    assert (result.exit_code, path.name, path.is_absolute(), path.is_file()) == (0, "register.py", True, True)


@pytest.mark.process
@pytest.mark.parametrize("hidden", ["swift", "torch", "transformers"])
def test_a_light_install_says_what_is_missing(tmp_path, hidden):
    """A finder that hides a package, as in an environment without it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {hidden!r}:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    (tmp_path / "rows.jsonl").write_text('{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}\n')
    command = [sys.executable, "-c", "from groundswift.cli import main; main()", "show", "rows.jsonl", "--model", "owner/name"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    expected = f"error: this command needs ms-swift (no module {hidden}): pip install 'groundswift[swift]'"
    assert done.stderr.splitlines()[-1] == expected


def test_a_module_that_is_missing_for_another_reason_keeps_its_traceback(monkeypatch):
    def fails(_name: str) -> None:
        raise ModuleNotFoundError("no module named 'mine'", name="mine")

    monkeypatch.setattr("groundswift.cli.import_module", fails)
    assert isinstance(CliRunner().invoke(main, ["show", "--help"]).exception, ModuleNotFoundError)
