"""Run a command that ends when its parent PID does, however that ends: `setsid python _ends_with.py PID COMMAND...`.

A signal to a recipe's process group, SIGKILL too, does not reach what has a group of its own: a server would keep its port and memory.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

EVERY_S = 0.2
GRACE_S = 10.0  # from SIGTERM to SIGKILL


def still_there(group: int) -> bool:
    """Whether a process group has a process."""
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


def end(command: subprocess.Popen) -> None:
    """End a command and all of its process group."""
    until = time.monotonic() + GRACE_S
    with suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGTERM)
    while still_there(command.pid) and time.monotonic() < until:
        command.poll()
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGKILL)


def main() -> None:
    asked_to_end = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: asked_to_end.append(number))
    parent = int(sys.argv[1])
    command = subprocess.Popen(sys.argv[2:], start_new_session=True)
    while command.poll() is None and os.getppid() == parent and not asked_to_end:
        time.sleep(EVERY_S)
    if command.poll() is None:
        end(command)
    sys.exit(command.wait())


if __name__ == "__main__":
    main()
