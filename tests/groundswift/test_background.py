"""Work in the background: its result, its error, and that it starts at once."""

from __future__ import annotations

import sys
import threading
from threading import Event

import pytest

from groundswift.background import TURN_S, Background, import_numpy, short_turns


def test_the_result_is_waited_for():
    started, go = Event(), Event()
    work = Background(lambda: started.set() or go.wait(60) and 7)
    assert started.wait(60)
    go.set()
    assert work.result() == 7


def test_its_error_is_raised_where_the_result_is_asked_for():
    work = Background(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        work.result()


def test_short_turns_end_with_their_block():
    before = sys.getswitchinterval()
    with short_turns():
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
    assert sys.getswitchinterval() == before


def test_numpy_is_imported_in_a_thread_of_its_own(monkeypatch):
    threads = []
    monkeypatch.setitem(sys.modules, "numpy", None)  # an import of it fails
    monkeypatch.setattr(Background, "_run", lambda self, run=Background._run: (threads.append(threading.current_thread()), run(self)))
    with pytest.raises(ModuleNotFoundError):
        import_numpy()
    assert threads
    assert threading.main_thread() not in threads
