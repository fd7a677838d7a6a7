"""A web server on this machine whose answers a test sets, and ports for others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Site:
    """A web server whose answers a test sets: path -> what handles a request."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.requests: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(f"{self.command} {self.path}")
                site.answers.get(self.path.partition("?")[0], status(404))(self)

            do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


def status(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def content(data: bytes, etag: str | None = '"1"', announced: int | None = -1) -> Callable[[BaseHTTPRequestHandler], None]:
    """`announced` None: no length is sent; -1: the true one."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if announced is not None:
            handler.send_header("Content-Length", str(len(data) if announced < 0 else announced))
        if etag:
            handler.send_header("ETag", etag)
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(data)

    return answer
