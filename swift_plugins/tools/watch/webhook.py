"""Alarms that are never lost: on the disk before they are sent, sent again until the receiver has them, also by the next run."""

from __future__ import annotations

import json
from collections import deque
from http.client import HTTPException
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec

from groundswift.errors import error_at

ALARMS, DELIVERED = "alarms.jsonl", "delivered.jsonl"
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # after a failure; the last one for ever
TIMEOUT_S = 10.0
Alarm = dict[str, Any]


class NoRedirect(HTTPRedirectHandler):
    """A redirected POST would come as a GET without its alarm: it is a failure."""

    def redirect_request(self, *_: Any) -> None:
        """Nothing to follow."""


class Outbox:
    """Alarms of a folder and their way to a webhook. `problem`: why the last attempt failed, or nothing.

    Raises GroundswiftError where the folder's files cannot be read.
    """

    def __init__(self, folder: Path, url: str | None) -> None:
        self.folder, self.url, self.problem, self.unwritten = folder, url, "", 0
        self.opener, self.changed, self.stop = build_opener(NoRedirect), Condition(), Event()
        self.all = read_alarms(folder / ALARMS)
        delivered = {alarm["id"] for alarm in read_alarms(folder / DELIVERED)}
        self.waiting: deque[Alarm] = deque(alarm for alarm in self.all if alarm["id"] not in delivered)
        self.resent = len(self.waiting) if url else 0
        if url:
            Thread(target=self._deliver, daemon=True, name="webhook").start()

    def add(self, alarm: Alarm) -> None:
        """Write an alarm, then let it be sent. One that the disk refuses is sent all the same."""
        self._append(ALARMS, alarm)
        with self.changed:
            self.all.append(alarm)
            self.waiting.append(alarm)
            self.changed.notify_all()

    def _append(self, name: str, document: Alarm) -> None:
        try:
            append_line(self.folder / name, document)
        except OSError as error:
            self.unwritten += 1
            self.problem = f"{name} cannot be written ({error.strerror})"

    def _deliver(self) -> None:
        failures = 0
        while not self.stop.is_set():
            with self.changed:
                while not self.waiting:
                    self.changed.wait()
                alarm = self.waiting[0]
            self.problem = self.post(alarm)
            if self.problem:
                self.stop.wait(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1
                continue
            failures = 0
            self._append(DELIVERED, {"id": alarm["id"]})
            with self.changed:
                self.waiting.popleft()
                self.changed.notify_all()

    def post(self, alarm: Alarm) -> str:
        """Send one alarm -> why it did not arrive, or nothing. A receiver knows one that comes twice by its id."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": alarm["id"]}
        try:
            with self.opener.open(Request(self.url, json.dumps(alarm).encode(), headers), timeout=TIMEOUT_S) as response:
                return "" if 200 <= response.status < 300 else f"status {response.status}"
        except HTTPError as error:
            return f"status {error.code}"
        except (OSError, HTTPException, ValueError) as error:
            return f"no connection ({getattr(error, 'reason', None) or type(error).__name__})"

    def drain(self, seconds: float) -> int:
        """Wait until all alarms are sent, at most so long -> how many are not; the next run with the same folder sends them."""
        if self.url is None:
            return 0
        with self.changed:
            self.changed.wait_for(lambda: not self.waiting, seconds)
            self.stop.set()
            return len(self.waiting)


def append_line(path: Path, document: dict[str, Any]) -> None:
    """Append one JSON line, on a line of its own also where a kill left half a line before it."""
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, 2)
            half = file.read(1) != b"\n"
        else:
            half = False
        file.write((b"\n" if half else b"") + msgspec.json.encode(document) + b"\n")


def read_alarms(path: Path) -> list[Alarm]:
    """The alarms, or ids, of a file; [] without one. Half a line, which a kill leaves, is skipped."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})") from None
    found = []
    for line in lines:
        try:
            alarm = msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if isinstance(alarm, dict) and isinstance(alarm.get("id"), str):
            found.append(alarm)
    return found
