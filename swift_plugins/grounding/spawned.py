"""`swift app` and `swift eval` start a server in a process of its own, and ask for its models until it answers: for ever, where it died."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from functools import wraps

from groundswift.errors import GroundswiftError

DEPLOY = "swift.pipelines.infer.deploy"


def stop_waiting_for_the_dead() -> None:
    """End the wait in words where the server's process has ended. Nothing to do for commands that start no server."""
    deploy = sys.modules.get(DEPLOY)
    if deploy is None or getattr(deploy.is_accessible, "looks_at_process", False):
        return
    deploy.is_accessible = while_alive(deploy.is_accessible)


def while_alive(is_accessible: Callable[[int], bool]) -> Callable[[int], bool]:
    """The same question, which raises GroundswiftError where nobody is left to answer it."""

    @wraps(is_accessible)
    def asked(port: int) -> bool:
        if is_accessible(port):
            return True
        if not multiprocessing.active_children():
            raise GroundswiftError(f"the server of the model ended before it answered on port {port}; its own error is above")
        return False

    asked.looks_at_process = True
    return asked
