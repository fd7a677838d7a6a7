"""Requests sent to a server, several at once, within a rate; failed ones again, with growing waits; every answer kept as it comes."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import msgspec

from groundswift.chat_client import FAILED, ChatClient, Reply
from groundswift.data_urls import data_url
from groundswift.errors import GroundswiftError, ImageUnreadable, Interrupted, error_at
from groundswift.kept_lines import KeptLines
from groundswift.records import read_jsonl
from groundswift.storage import read_bytes
from groundswift.urls import shown

from ..file_io.images import read_header
from ..issues import Issue, IssueLog
from .frames import Request

STREAK = 20  # requests in a row that failed: it is not the requests
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
AGAIN = {408, 409, 425, 429}  # statuses besides 5xx after which a request may succeed


class RawAnswer(msgspec.Struct, omit_defaults=True):
    """What came back for one request. `key`: a hash of model, fields, prompt and images; `problem`: the id of why there was none."""

    request_id: str
    key: str
    model: str
    text: str = ""
    problem: str = ""
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    attempts: int = 1
    seconds: float = 0.0

    @property
    def is_final(self) -> bool:
        """Whether it need not be asked again: the model answered or refused."""
        return self.problem in ("", "refused")


class Pace:
    """Lets `per_minute` requests begin each minute, at even distances; None: as many as come."""

    def __init__(self, per_minute: float | None) -> None:
        self.distance_s = 60 / per_minute if per_minute else 0.0
        self._next, self._lock = 0.0, threading.Lock()

    def wait(self) -> None:
        """Wait for the next place."""
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now)
            wait_s, self._next = self._next - now, self._next + self.distance_s
        if wait_s > 0:
            time.sleep(wait_s)


class Settings(NamedTuple):
    """How to ask: the model, further fields of a request, requests at once, requests a minute, how often one is repeated."""

    model: str
    fields: dict[str, Any]
    workers: int = 8
    per_minute: float | None = None
    retries: int = 5


class Asking:
    """A run of requests; `answers`: kept in a file from earlier runs, and new ones as they come. `kept`: how many were there before."""

    def __init__(self, client: ChatClient, settings: Settings, kept: Path) -> None:
        self.client, self.settings, self.pace = client, settings, Pace(settings.per_minute)
        self._lines = KeptLines(kept, RawAnswer, "a file for the raw answers (--answers-file)")
        self._known = {answer.key: answer for answer in self._lines.rows if answer.is_final}
        self._stop, self._failures, self.asked, self.repeated = threading.Event(), 0, 0, 0

    def run(self, requests: Sequence[Request]) -> list[RawAnswer]:
        """The answer to each request, in order. Raises GroundswiftError where no other request would fare better, Interrupted where the
        server fails again and again: what came before is kept, and the same command goes on."""
        from tqdm import tqdm

        keys = [key_of(request, self.settings) for request in requests]
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in self._known}
        found = dict(self._known)
        with tqdm(total=len(requests), initial=len(requests) - len(missing), desc="ask", unit="request", disable=None) as bar:
            for answer in self._answers(missing):
                found[answer.key] = answer
                bar.update()
        return [msgspec.structs.replace(found[key], request_id=request.request_id) for key, request in zip(keys, requests, strict=True)]

    def _answers(self, missing: dict[str, Request]) -> Iterator[RawAnswer]:
        """The answers as they come. The threads are daemons: after Ctrl-C nobody waits for what is on its way."""
        todo: SimpleQueue[tuple[str, Request]] = SimpleQueue()
        done: SimpleQueue[RawAnswer | BaseException] = SimpleQueue()
        for each in missing.items():
            todo.put(each)

        def work() -> None:
            while not self._stop.is_set():
                try:
                    key, request = todo.get_nowait()
                    done.put(self._one(request, key))
                except Empty:
                    return
                except BaseException as error:
                    done.put(error)

        for _ in range(min(self.settings.workers, len(missing))):
            threading.Thread(target=work, daemon=True).start()
        try:
            for _ in missing:
                answer = done.get()
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
        finally:
            self._stop.set()

    def _one(self, request: Request, key: str) -> RawAnswer:
        """Ask until there is an answer, or the last repetition failed."""
        began = time.monotonic()
        try:
            messages = messages_of(request)
        except ImageUnreadable as error:
            return RawAnswer(request.request_id, key, self.settings.model, str(error), "image-unreadable")
        for attempt in range(1, self.settings.retries + 2):
            self.pace.wait()
            if self._stop.is_set():
                raise GroundswiftError("stopped")
            reply = self.client.ask(self.settings.model, messages, self.settings.fields)
            self._check(reply)
            if not may_succeed(reply) or attempt > self.settings.retries:
                break
            self.repeated += 1
            self._stop.wait(wait_s(reply, attempt))
        usage = reply.usage
        answer = RawAnswer(
            request.request_id,
            key,
            self.settings.model,
            reply.text,
            reply.problem,
            reply.finish_reason,
            usage.prompt_tokens,
            usage.completion_tokens,
            attempt,
            round(time.monotonic() - began, 3),
        )
        self._lines.add(answer)
        self.asked += 1
        return answer

    def _check(self, reply: Reply) -> None:
        """Raise for a reply after which no further request makes sense."""
        where = shown(self.client.url)
        if reply.is_html:
            raise error_at(where, "the server answered a web page (HTML) in place of JSON", "the URL of an API, up to /v1 (--base-url)")
        self._failures = self._failures + 1 if reply.problem in FAILED else 0
        if self._failures >= STREAK:
            why = f"{reply.status}: {reply.text}" if reply.status else reply.problem
            hint = ", with --field max_tokens=512, fewer --workers or a longer --timeout" if reply.problem == "timeout" else ""
            raise Interrupted(f"{where}: {STREAK} requests in a row failed, the last one: {why}. Run the same command again to go on{hint}")


def may_succeed(reply: Reply) -> bool:
    """Whether the same request may succeed the next time."""
    if reply.problem == "error":
        return reply.status in AGAIN or (reply.status or 500) >= 500
    return reply.problem in ("timeout", "unreachable", "not-json")


def wait_s(reply: Reply, attempt: int) -> float:
    """Seconds before the next attempt: as the server asks, else twice as long each time, less a random part of a quarter."""
    if reply.wait_s is not None and 0 <= reply.wait_s <= LONGEST_WAIT_S:
        return reply.wait_s
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1)) * random.uniform(0.75, 1)


def key_of(request: Request, settings: Settings) -> str:
    """A hash of what is asked. Raises GroundswiftError where an image cannot be read."""
    images = [hashlib.sha256(read_bytes(path, "an image")).hexdigest() for path in request.images]
    return hashlib.sha256(msgspec.json.encode([settings.model, settings.fields, request.prompt, images])).hexdigest()


def messages_of(request: Request) -> list[dict[str, Any]]:
    """The messages of a request: its images, then its prompt."""
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": data_url(read_bytes(path, "an image"))}} for path in request.images
    ]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": request.prompt}]}]


def read_requests(path: str, log: IssueLog) -> list[tuple[Request, tuple[int, int]]]:
    """(request, size in px of its first image) of each line of a file whose images are there. Problems are logged."""
    found, seen = [], set()
    for number, row in read_jsonl(path, Request):
        where = f"{shown(path)}:{number}"
        if not isinstance(row, Request):
            log.add(Issue.of("request-malformed", where, str(row).removeprefix(f"{where}: "), "a line that `anomaly describe` writes"))
            continue
        images = [read_header(image, where, size_needed=True) for image in row.images]
        broken = [image for image in images if isinstance(image, Issue)]
        if row.request_id in seen:
            log.add(Issue("request-repeated", where, f"request_id {row.request_id!r:.200} for the second time", "each once"))
        elif broken or not images:
            log.add(broken[0] if broken else Issue("request-malformed", where, "no image", "one image or more"))
        else:
            found.append((row, images[0].size_wh))
        seen.add(row.request_id)
    return found
