"""Kill a recipe and all that it started, again and again, at random moments."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path


def killed_after(command: dict, seconds: float) -> float | None:
    """Start a command and kill its process group after a while -> None; where it ended before, the seconds that it took."""
    began = time.monotonic()
    process = subprocess.Popen(**command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and time.monotonic() - began < seconds:
        time.sleep(0.01)
    if process.poll() is not None:
        return time.monotonic() - began
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return None


def kill_often(command: dict, out: Path, kills: int, took_s: float) -> None:
    """Kill it this often; what is left is continued four times out of five, and begun again where a run came to its end. `took_s`: of a
    whole run, corrected by what is seen: other work on the machine changes it."""
    chance, done = random.Random(kills), 0
    while done < kills:
        if done % 5 == 0:
            shutil.rmtree(out, ignore_errors=True)
        ended_s = killed_after(command, chance.uniform(0, took_s))
        if ended_s is None:
            done += 1
        else:
            took_s = min(took_s, max(ended_s, 0.1))
            shutil.rmtree(out, ignore_errors=True)
