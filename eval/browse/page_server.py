"""A small web server for one page of this machine: answers GET and HEAD by address, and nothing else.

A page of another site cannot read the answers: requests that name another host are refused, as a name that is made to point to this
machine would be (DNS rebinding).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Protocol

from groundswift.errors import GroundswiftError, error_at

LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
BLOCK = 1 << 18


class Part(NamedTuple):
    """What is sent: bytes, or `length` bytes of a file from `start` on."""

    kind: str
    body: bytes | Path
    length: int
    status: HTTPStatus = HTTPStatus.OK
    headers: tuple[tuple[str, str], ...] = ()
    start: int = 0


class Answering(Protocol):
    """What a server serves."""

    def answer(self, address: str, wanted_range: str = "") -> Part | None:
        """What is at an address; None for what is not there."""


def bytes_part(kind: str, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Part:
    """An answer that is in memory."""
    return Part(kind, body, len(body), headers=headers)


def part_of_file(kind: str, file: Path, size: int, wanted_range: str) -> Part:
    """A file, or the bytes of it that a Range header names (one range; others get the whole)."""
    found = RANGE.fullmatch(wanted_range.strip())
    if found is None or not any(found.groups()):
        return Part(kind, file, size, HTTPStatus.OK, (("Accept-Ranges", "bytes"),))
    first, last = found.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        return Part(kind, b"", 0, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, (("Content-Range", f"bytes */{size}"),))
    return Part(kind, file, end - start + 1, HTTPStatus.PARTIAL_CONTENT, (("Content-Range", f"bytes {start}-{end}/{size}"),), start)


def blocks_of(part: Part) -> Iterator[bytes]:
    """The body, block by block."""
    if isinstance(part.body, bytes):
        yield part.body
        return
    left = part.length
    with open(part.body, "rb") as file:
        file.seek(part.start)
        while left and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD from the site of its server."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "groundswift", ""
    timeout = 30
    server: Server

    def do_GET(self) -> None:
        self._send(body=True)

    def do_HEAD(self) -> None:
        self._send(body=False)

    def _send(self, body: bool) -> None:
        if not self.server.is_meant(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.FORBIDDEN, "another host")
            return
        part = self.server.site.answer(self.path.partition("?")[0], self.headers.get("Range", ""))
        if part is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            self._send_head(part)
            for block in blocks_of(part) if body else ():
                self.wfile.write(block)
        except OSError:  # the browser went away, or the file did
            self.close_connection = True

    def _send_head(self, part: Part) -> None:
        self.send_response(part.status)
        headers = {"Content-Type": part.kind, "Content-Length": str(part.length), "Cache-Control": "no-store"}
        headers |= {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"}
        for name, value in (*headers.items(), *part.headers):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged."""


class Server(ThreadingHTTPServer):
    """Serves a site. Raises GroundswiftError where the address cannot be used."""

    daemon_threads = True

    def __init__(self, site: Answering, host: str, port: int) -> None:
        self.site, self.host = site, host
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), Handler)
        except OSError as error:
            expected = "an address of this machine and a free port; --port 0 takes any"
            raise error_at(f"--host {host} --port {port}", f"cannot be served ({error.strerror or error})", expected) from None
        except OverflowError as error:
            raise GroundswiftError(f"--port {port}: {error}") from None

    @property
    def url(self) -> str:
        """Where the page is."""
        name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, f"[{self.host}]" if ":" in self.host else self.host)
        return f"http://{name}:{self.server_port}/"

    def is_meant(self, host: str) -> bool:
        """Whether a Host header names this server; any may where it was asked to serve other machines."""
        name = re.sub(r":\d+$", "", host.strip()).lower()
        return self.host not in LOOPBACK or name in LOOPBACK
