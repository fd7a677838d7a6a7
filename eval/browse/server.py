"""The report from a server: the same page, whose data and images are sent when they are shown.

Images are asked for by their number in the run, never by a path. A page of another site cannot read the answers: requests that name
another host are refused, as a name that is made to point to this machine would be (DNS rebinding).
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from groundswift.errors import GroundswiftError, error_at
from groundswift.file_guard import regular_size

from ..report.image_index import CHUNK, data_chunk, path_of
from ..report.page import Report, head_chunks, json_bytes, setup_of
from ..report.thumbnails import LOOK_OF_A_SERVER, Task, thumbnail

LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}
KINDS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif", ".bmp": "bmp", ".avif": "avif"}
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
BLOCK = 1 << 18
KEPT = 64  # chunks of thumbnails in memory


class Part(NamedTuple):
    """What is sent: bytes, or `length` bytes of a file from `start` on."""

    kind: str
    body: bytes | Path
    length: int
    status: HTTPStatus = HTTPStatus.OK
    headers: tuple[tuple[str, str], ...] = ()
    start: int = 0


class Site:
    """All that the server can answer, by address; None for what is not there."""

    def __init__(self, report: Report, images_dir: Path | None) -> None:
        self.report, self.images_dir = report, images_dir
        self.place_of = {name: place for place, name in enumerate(report.classes)}
        self.sizes = {image.file_name: image.size_wh for image in reversed(report.shown.images)}
        files = len(report.shown.files)
        setup = setup_of(report, None if images_dir is None else True, images_dir, files, served=True)
        self.page = b"".join(chain(head_chunks(report, setup, files), [b"</body>\n</html>\n"]))
        self.thumbnails = lru_cache(KEPT)(self._thumbnails)
        self.routes: dict[str, Callable[[int], Part | None]] = {
            r"/chunk/d(\d{1,9})\.json": self.data,
            r"/chunk/t(\d{1,9})\.json": lambda number: self.thumbnails(number),
        }

    def answer(self, address: str, wanted_range: str = "") -> Part | None:
        """What is at an address."""
        if address == "/":
            return Part("text/html; charset=utf-8", self.page, len(self.page))
        if found := re.fullmatch(r"/image/(\d{1,9})", address):
            return self.image(int(found[1]), wanted_range)
        for pattern, make in self.routes.items():
            if found := re.fullmatch(pattern, address):
                return make(int(found[1]))
        return None

    def data(self, number: int) -> Part | None:
        """Boxes and texts of a chunk of images."""
        rows = data_chunk(self.report.shown, number, self.place_of)
        return json_part(rows) if rows else None

    def _thumbnails(self, number: int) -> Part | None:
        files = self.report.shown.files[number * CHUNK : (number + 1) * CHUNK]
        if not files or self.images_dir is None:
            return None
        return json_part([thumbnail(Task(path_of(name, self.images_dir), self.sizes[name], LOOK_OF_A_SERVER)) for name in files])

    def image(self, number: int, wanted_range: str) -> Part | None:
        """The file of an image that the run names, whole or a part of it; None where it is outside the folder."""
        files = self.report.shown.files
        path = path_of(files[number], self.images_dir) if self.images_dir is not None and number < len(files) else None
        kind = KINDS.get(os.path.splitext(path or "")[1].lower())
        if path is None or kind is None:
            return None
        try:
            size = regular_size(path)
        except (OSError, ValueError):
            return None
        return part_of_file(f"image/{kind}", Path(path), size, wanted_range)


def json_part(value: object) -> Part:
    """An answer in JSON."""
    body = json_bytes(value)
    return Part("application/json", body, len(body))


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

    def __init__(self, site: Site, host: str, port: int) -> None:
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
