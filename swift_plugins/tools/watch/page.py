"""The web page of a run, on this machine only: latest frame with its boxes, verdict, latency, history. Texts of a model are never HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from threading import Thread
from typing import Any

import msgspec

from groundswift.eval.browse.page_server import Part, Server, bytes_part
from groundswift.terminal import printable

from .monitor import Judged, Monitor

HOST = "127.0.0.1"
LISTED, LONGEST = 50, 500  # verdicts in the history, characters of an answer there
ALARMS = 20  # that the page lists
POLICY = "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'"
HEADERS = (("Content-Security-Policy", POLICY),)
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}


class WatchSite:
    """What the page's server answers."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor

    def answer(self, address: str, wanted_range: str = "") -> Part | None:
        """A file of the page, the state as JSON, or a frame of the history by its number."""
        if address in FILES:
            name, kind = FILES[address]
            return bytes_part(kind, file_of_page(name), HEADERS)
        if address == "/state.json":
            return bytes_part("application/json", state_of(self.monitor))
        if found := re.fullmatch(r"/frame/(\d{1,12})\.jpg", address):
            frame = next((each.frame for each in self.judged() if each.frame.number == int(found[1])), None)
            return None if frame is None else bytes_part("image/jpeg", frame.jpeg)
        return None

    def judged(self) -> list[Judged]:
        """The verdicts of the history, oldest first."""
        with self.monitor.lock:
            return list(self.monitor.history)


@cache
def file_of_page(name: str) -> bytes:
    """A file of this folder."""
    return files(__package__).joinpath(name).read_bytes()


def state_of(monitor: Monitor) -> bytes:
    """What the page shows, as JSON."""
    with monitor.lock:
        judged = list(monitor.history)
    latest = max(judged, key=lambda each: each.frame.number, default=None)
    state = monitor.document() | {
        "latest": None if latest is None else shown(latest.row),
        "history": [shown(each.row) for each in reversed(judged[-LISTED:])],
        "raised": [shown(alarm) for alarm in reversed(monitor.outbox.all[-ALARMS:])],
        "is_running": not monitor.stop.is_set(),
    }
    return msgspec.json.encode(state)


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its texts as the page shows them: short, and without characters that reorder or hide a line."""
    return row | {name: printable(row[name])[:LONGEST] for name in ("answer", "error") if name in row}


@contextmanager
def page_of(monitor: Monitor, port: int) -> Iterator[str]:
    """Serve the page while the block runs -> its URL. Raises GroundswiftError where the port cannot be used."""
    with Server(WatchSite(monitor), HOST, port) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True, name="page").start()
        try:
            yield server.url
        finally:
            server.shutdown()
