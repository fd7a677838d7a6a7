"""`swift app` and `swift eval` wait for the server process that they started, even after it has ended.

Observed with ms-swift 4.6.0, gradio 6.31.0 and evalscope 1.10.0.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from functools import wraps

from groundswift.errors import GroundswiftError

DEPLOY = "swift.pipelines.infer.deploy"


def stop_waiting_for_dead_server() -> None:
    """End the wait with an error where the server's process has ended. Nothing to do for commands that start no server."""
    deploy = sys.modules.get(DEPLOY)
    if deploy is None or getattr(deploy.is_accessible, "checks_process", False):
        return
    deploy.is_accessible = while_alive(deploy.is_accessible)


def while_alive(is_accessible: Callable[[int], bool]) -> Callable[[int], bool]:
    """The same question, which raises GroundswiftError where no process is left to answer it."""

    @wraps(is_accessible)
    def checked(port: int) -> bool:
        if is_accessible(port):
            return True
        if not multiprocessing.active_children():
            raise GroundswiftError(f"port {port}: the model server stopped before it answered. See its own error above")
        return False

    checked.checks_process = True
    return checked
