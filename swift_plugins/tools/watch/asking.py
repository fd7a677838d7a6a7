"""One question about one frame to an OpenAI-compatible server, within a deadline, and what came back, by id.

By http.client: openai's client costs 5 ms for an image of 150 KB, this 1 ms.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import socket
import time
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from groundswift.chat_client import LARGEST
from groundswift.chat_client import reply_of as chat_reply
from groundswift.errors import GroundswiftError, error_at, without_secrets

from ..infer.server import KEY, base_url
from .settings import Settings

LONGEST_SHOWN = 300  # characters of what a server says
PLACE = "IMAGE-OF-THE-FRAME"  # in a request
REFUSED = (400, 413, 415, 422)  # it is this frame's request; another one may fare better
TITLES = {
    "server-timeout": "no answer in time",
    "server-unreachable": "no connection, or it was lost",
    "server-failed": "the server failed",
    "server-not-openai": "something else than a chat completion",
    "server-refused": "key, model or path refused",
    "frame-refused": "the server refused the frame",
}
BASE = "the base URL of an OpenAI-compatible server: http://HOST:PORT/v1"


class Reply(NamedTuple):
    """An answer, or the id of why there is none and the server's words. `is_cut`: ended at the token limit."""

    text: str = ""
    is_cut: bool = False
    seconds: float = 0.0
    problem: str = ""
    said: str = ""

    @property
    def is_away(self) -> bool:
        """Whether the server gave no answer and may give one later."""
        return bool(self.problem) and self.problem != "frame-refused"


class Asker:
    """A connection to a server, for one thread. Raises GroundswiftError for a URL that is not one."""

    def __init__(self, settings: Settings, model: str) -> None:
        self.timeout, self.url = settings.timeout, base_url(settings.url)
        self.parts = urlsplit(self.url)
        self.connection: http.client.HTTPConnection | None = None
        self.key = key = os.environ.get(KEY) or "EMPTY"
        self.headers = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {key}"}
        image = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{PLACE}"}}
        content = [image, {"type": "text", "text": settings.question}]
        body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": settings.max_new_tokens, "temperature": 0}
        self.before, self.after = (part.encode() for part in json.dumps(body).split(PLACE, 1))

    def ask(self, jpeg: bytes) -> Reply:
        """The answer to the question about an image."""
        started = time.perf_counter()
        status, body = self.exchange("POST", "/chat/completions", self.before + base64.b64encode(jpeg) + self.after)
        reply = reply_of(status, body) if status else Reply(problem=body.decode())
        return reply._replace(seconds=time.perf_counter() - started, said=reply.said.replace(self.key, "***"))

    def models(self) -> list[str]:
        """The models that the server has. Raises GroundswiftError where it does not say so."""
        status, body = self.exchange("GET", "/models", None)
        where = without_secrets(self.url)
        if not status:
            raise error_at(where, TITLES[body.decode()], "a server that is running, or --served-model to start without it")
        if status in (401, 403):
            raise error_at(where, f"refused the key ({status})", f"the server's key in {KEY}")
        try:
            return [str(each["id"]) for each in json.loads(body)["data"]]
        except (ValueError, TypeError, KeyError):
            raise error_at(where, f"answered {status}: {shortened(body)}", BASE) from None

    def exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """(status, body) of a response; (0, id) where there was none. A connection that the server closed meanwhile is opened again."""
        deadline = time.monotonic() + self.timeout
        was_open, attempts = self.connection is not None, 0
        while True:
            attempts += 1
            try:
                return self._once(method, path, body, deadline)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.close()
                if isinstance(error, TimeoutError):
                    return 0, b"server-timeout"
                if not (was_open and attempts == 1):
                    return 0, b"server-unreachable"

    def _once(self, method: str, path: str, body: bytes | None, deadline: float) -> tuple[int, bytes]:
        connection = self.connection = self.connection or self._new()
        connection.timeout = left(deadline)
        connection.response_class = partial(TimedResponse, deadline)
        if connection.sock is not None:
            connection.sock.settimeout(connection.timeout)
        connection.request(method, self.parts.path + path, body, self.headers)
        response = connection.getresponse()
        found = response.read(LARGEST + 1)
        if len(found) > LARGEST:
            raise http.client.HTTPException
        if response.will_close or not response.isclosed():
            self.close()
        return response.status, found

    def _new(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self.parts.scheme == "https" else http.client.HTTPConnection
        return kind(self.parts.hostname or "", self.parts.port, timeout=self.timeout)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class TimedResponse(http.client.HTTPResponse):
    """A response that ends at a deadline, however slowly its bytes come: the timeout of a socket begins anew with each of them."""

    def __init__(self, deadline: float, sock: socket.socket, *given: Any, **more: Any) -> None:
        super().__init__(sock, *given, **more)
        self.fp.close()
        self.fp = io.BufferedReader(TimedBytes(sock, deadline))


class TimedBytes(io.RawIOBase):
    """What a socket receives before a deadline. Raises TimeoutError at it."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock, self.deadline, self.raw = sock, deadline, sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int | None:
        self.sock.settimeout(left(self.deadline))
        return self.raw.readinto(into)

    def close(self) -> None:
        self.raw.close()
        super().close()


def left(deadline: float) -> float:
    """Seconds until a deadline. Raises TimeoutError after it."""
    if (seconds := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return seconds


def reply_of(status: int, body: bytes) -> Reply:
    """What a response says."""
    said = shortened(body)
    if status in REFUSED:
        return Reply(problem="frame-refused", said=said)
    if status in (401, 403, 404):
        return Reply(problem="server-refused", said=f"{status}: {said}")
    if status >= 500 or status in (408, 409, 429):
        return Reply(problem="server-failed", said=f"{status}: {said}")
    found = chat_reply(body)
    if found.problem == "not-json":
        return Reply(problem="server-not-openai", said=said)
    return Reply(found.text, found.finish_reason == "length")


def shortened(body: bytes) -> str:
    """The words of an error document, or the beginning of what it is, on one line."""
    try:
        said = json.loads(body)["error"]["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        said = body[: 4 * LONGEST_SHOWN].decode("utf-8", "replace")
    return " ".join(str(said).split())[:LONGEST_SHOWN]


def model_of(settings: Settings) -> str:
    """The model to ask: --served-model, or the only one that the server has. Raises GroundswiftError where that is not clear."""
    if settings.served_model is not None:
        return settings.served_model
    asker = Asker(settings, "")
    try:
        models = asker.models()
    finally:
        asker.close()
    if len(models) != 1:
        found = ", ".join(models) or "none"
        raise error_at(without_secrets(asker.url), f"serves the models {found}", "--served-model, one of them", GroundswiftError)
    return models[0]
