"""A model served on this machine by ms-swift for as long as a command runs: no key and no network."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from groundswift.errors import GroundswiftError, error_at

START_S = 600  # seconds that a large model may take to load
SHOWN_LINES = 3


def free_port() -> int:
    """A port that nothing uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def served(model: str, words: Sequence[str] = ()) -> Iterator[str]:
    """The URL of `python -m swift.cli.deploy` with a model, up to /v1; it ends with the block. `words`: further options of it.

    Raises GroundswiftError where it ends before it answers.
    """
    port = free_port()
    command = [sys.executable, "-m", "swift.cli.deploy", "--model", model, "--host", "127.0.0.1", "--port", str(port), *words]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            wait_until_open(port, process, model, said)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_open(port: int, process: subprocess.Popen, model: str, said: IO[str]) -> None:
    """Wait until the server takes connections. Raises GroundswiftError where it ends before, or takes too long."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            said.seek(0)
            last = " | ".join(said.read().strip().splitlines()[-SHOWN_LINES:])[-500:]
            raise error_at(f"--serve {model}", f"the server ended ({last})", "a model that `python -m swift.cli.deploy` can serve")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise GroundswiftError(f"--serve {model}: the server did not start within {START_S} s")
