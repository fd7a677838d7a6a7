"""Wait until a server answers: `python wait_for_server.py http://127.0.0.1:8000/health --process PID --seconds 900`.

With --free: wait until that port can be bound. Exit status 1 if the process has ended or the time is over.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

EVERY = 0.5  # seconds between two requests
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str) -> bool:
    """Whether the server gives 200."""
    try:
        with NO_PROXY.open(url, timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def runs(process: int) -> bool:
    """Whether a process is running, not a zombie."""
    try:
        os.kill(process, 0)
        with open(f"/proc/{process}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:  # no /proc
        return True


def is_free(url: str) -> bool:
    """Whether the port of a URL can be bound as `swift deploy` binds it: for a minute after a server had connections there, it cannot, and
    swift would take the next port without a word."""
    with socket.socket() as probe:
        try:
            probe.bind(("", urlsplit(url).port))
        except OSError:
            return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--process", type=int)
    what.add_argument("--free", action="store_true")
    parser.add_argument("--seconds", type=float, default=900)
    asked = parser.parse_args()
    end = time.monotonic() + asked.seconds
    while (asked.free or runs(asked.process)) and time.monotonic() < end:
        if is_free(asked.url) if asked.free else answers(asked.url):
            return
        time.sleep(EVERY)
    sys.exit(1)


if __name__ == "__main__":
    main()
