"""Ctrl-C while the command's own modules are imported is one line, as it is later."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.process
@pytest.mark.parametrize("module", ["click", "groundswift.terminal"])
def test_ctrl_c_while_importing_is_one_line(tmp_path, module):
    """An import hook is interrupted, as the import of that module would be by a signal."""
    code = (
        "import runpy, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "runpy.run_module('groundswift', run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "\nAborted!\n")


@pytest.mark.process
def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "groundswift", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "version" in done.stdout


def test_the_installed_script_starts_there():
    assert '\ngroundswift = "groundswift.__main__:main"\n' in (ROOT / "pyproject.toml").read_text()
    assert callable(import_module("groundswift.__main__").main)
