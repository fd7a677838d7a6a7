"""Run `groundswift infer` again and again, and kill each run without warning: `python kill_loop.py SECONDS,SECONDS,... WORDS...`.

One process answers one row, which loads what a run needs; each run is a fork of it. After a kill, one line: `killed`, or `ended STATUS`
where the run was quicker.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import suppress

from groundswift.cli import main


def load(words: list[str]) -> None:
    """Answer one row elsewhere."""
    with tempfile.TemporaryDirectory() as folder, suppress(SystemExit):
        main(["infer", *words, "--limit", "1", "--out", os.path.join(folder, "r.jsonl")])


def lives(moments: list[float], words: list[str]) -> None:
    """Start and kill one run for each moment."""
    for moment in moments:
        child = os.fork()
        if child == 0:
            try:
                main(["infer", *words], standalone_mode=True)
            finally:
                os._exit(70)
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    load(sys.argv[2:])
    lives([float(each) for each in sys.argv[1].split(",")], sys.argv[2:])
