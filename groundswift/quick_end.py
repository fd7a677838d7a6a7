"""The end of a command without freeing what it holds, object by object: the system takes all of it at once."""

from __future__ import annotations

import atexit
import os
import sys
import threading

_allowed = False


def allow_quick_end() -> None:
    """This command leaves nothing that only the interpreter's own end would finish: its files are closed, its threads are over."""
    global _allowed
    _allowed = True


def end_quickly(code: object) -> None:
    """End the process with this exit status, if the command allows it; functions of `atexit` run and output is written first.

    Returns where Python's own end is needed: another thread works, output cannot be written, or somebody watches (a debugger, a
    profiler, coverage).
    """
    if not _allowed or not (code is None or isinstance(code, int)) or _others_work() or _is_watched():
        return
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    os._exit((code or 0) & 0xFF)


def _others_work() -> bool:
    """Whether a thread runs for which Python's own end would wait."""
    return any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())


def _is_watched() -> bool:
    """Whether something looks at what Python runs, or wants to go on after the command."""
    monitoring = getattr(sys, "monitoring", None)  # from Python 3.12 on
    tools = monitoring is not None and any(monitoring.get_tool(number) for number in range(6))
    return bool(tools or sys.gettrace() or sys.getprofile() or sys.flags.inspect)
