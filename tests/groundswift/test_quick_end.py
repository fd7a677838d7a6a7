"""The quick end of a command: output and `atexit` as always, nothing freed; Python's own end wherever that could matter."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process
START = """
import atexit, sys, threading, time
from groundswift.quick_end import allow_quick_end, end_quickly

class Held:
    def __del__(self):
        print("freed")

held = Held()
atexit.register(print, "atexit")
allow_quick_end()
"""
END = "print('written', end='')\nend_quickly(3)\nprint(' and more')\nsys.exit(3)\n"


def end(code: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", START + code + "\n" + END], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_output_and_atexit_and_nothing_freed():
    assert end("") == (3, "writtenatexit\n")


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import groundswift.quick_end as it\nit._allowed = False", id="a command that does not allow it"),
        pytest.param("threading.Thread(target=time.sleep, args=(0.2,)).start()", id="another thread"),
        pytest.param("sys.setprofile(lambda *_: None)", id="a profiler"),
        pytest.param("sys.settrace(lambda *_: None)", id="a debugger"),
    ],
)
def test_pythons_own_end(code):
    status, printed = end(code)
    assert (status, printed.removesuffix("freed\n")) == (3, "written and more\natexit\n")


def test_a_daemon_thread_is_not_waited_for():
    assert end("threading.Thread(target=time.sleep, args=(60,), daemon=True).start()") == (3, "writtenatexit\n")


def test_a_text_in_place_of_a_status_is_printed():
    done = subprocess.run([sys.executable, "-c", START + "end_quickly('why')\nsys.exit('why')"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "atexit\nfreed\n", "why\n")
