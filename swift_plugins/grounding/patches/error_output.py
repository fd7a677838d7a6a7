"""Errors of ours in swift's commands: one line for the user, as the `groundswift` command prints them, in place of a traceback."""

from __future__ import annotations

import sys
from types import TracebackType

from groundswift.errors import GroundswiftError


def print_errors_plainly() -> None:
    """Print a GroundswiftError, which is complete for the user, without its traceback; other errors keep theirs."""
    earlier = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, GroundswiftError):
            print(f"error: {error}", file=sys.stderr)
        else:
            earlier(kind, error, trace)

    if getattr(earlier, "__module__", None) != __name__:
        sys.excepthook = hook
