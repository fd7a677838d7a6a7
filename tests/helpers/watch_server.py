"""A model server that sees red, fails in every way that a test asks for, dies and comes back on its port; and a webhook that counts.

with RedServer() as server: ... server.mode = "html"; server.die(); server.revive()
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler
from typing import Any

import numpy as np
from answer_server import image_of, text_of

MODEL = "red"


class Ending:
    """A server in threads whose open connections end with it."""

    daemon_threads = allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, port: int, handler: type[BaseRequestHandler]) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.open: set[socket.socket] = set()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def process_request(self, request: Any, address: Any) -> None:
        self.open.add(request)
        super().process_request(request, address)

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        for each in self.open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Nothing."""


class Mortal(Ending, ThreadingHTTPServer):
    """A web server that can die."""


class Handler(BaseHTTPRequestHandler):
    """Sends a response in one piece: in two, the kernel's delayed acknowledgement would cost 40 ms."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def send(self, status: int, data: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def log_message(self, *args: object) -> None:
        """Nothing."""


class RedServer:
    """Answers yes where the image has red. `mode`: ok, html, stall, trickle, or a status; `delay_s`; `own_s`: of each request.

    `seen`: for each image that was answered, whether it has red, when it came and the question.
    """

    def __init__(self, answer: Callable[[bool], str] = lambda red: "Yes." if red else "No.") -> None:
        self.mode: str | int = "ok"
        self.delay_s, self.answer, self.says = 0.0, answer, ""
        self.seen: list[tuple[bool, float, str]] = []
        self.own_s: list[float] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        server = self

        class Red(Handler):
            def do_GET(self) -> None:
                if server.mode == "html":
                    self.send(200, b"<html><body>Welcome</body></html>", "text/html")
                else:
                    self.send(200, json.dumps({"object": "list", "data": [{"id": MODEL}]}).encode())

            def do_POST(self) -> None:
                started = time.perf_counter()
                body = json.loads(self.body())
                server.paths.append(self.path)
                server.keys.append(self.headers["Authorization"])
                server.respond(self, body)
                server.own_s.append(time.perf_counter() - started)

        self.handler = Red
        self.http = Mortal(0, Red)
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def respond(self, handler: Handler, body: dict[str, Any]) -> None:
        mode = self.mode
        if mode == "html":
            handler.send(200, b"<html><body><script>alert(1)</script>Bad gateway</body></html>", "text/html")
        elif mode in ("stall", "trickle"):
            self.hang(handler, mode)
        elif isinstance(mode, int):
            handler.send(mode, json.dumps({"error": {"message": self.says or f"refused with {mode}"}}).encode())
        else:
            time.sleep(self.delay_s)
            pixels = np.asarray(image_of(body)).astype(int)
            red = bool(np.mean((pixels[..., 0] > 150) & (pixels[..., 2] < 90)) > 0.01)
            self.seen.append((red, time.monotonic(), text_of(body)))
            message = {"role": "assistant", "content": self.answer(red)}
            handler.send(200, json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode())

    def hang(self, handler: Handler, mode: str) -> None:
        """Give no whole response for as long as the mode lasts; trickle: a byte now and then, so that no read times out."""
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        if mode == "trickle":
            handler.end_headers()
        with suppress(OSError):
            while self.mode == mode:
                if mode == "trickle":
                    handler.wfile.write(b" ")
                    handler.wfile.flush()
                time.sleep(0.05)
        handler.close_connection = True

    def die(self) -> None:
        self.http.end()

    def revive(self) -> None:
        self.http = Mortal(self.port, self.handler)

    def __enter__(self) -> RedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.mode = "ok"
        self.http.end()


class Webhook:
    """Receives alarms; answers with `status`. `got`: those that it took, `refused`: how many it did not."""

    def __init__(self, status: int = 200) -> None:
        self.status, self.refused = status, 0
        self.got: list[dict[str, Any]] = []
        hook = self

        class Hook(Handler):
            def do_POST(self) -> None:
                alarm = json.loads(self.body())
                if hook.status == 200:
                    hook.got.append(alarm)
                else:
                    hook.refused += 1
                self.send(hook.status, b"{}")

        self.handler = Hook
        self.http = Mortal(0, Hook)
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/alarm?token=secret"

    def die(self) -> None:
        self.http.end()

    def revive(self) -> None:
        self.http = Mortal(self.port, self.handler)

    def __enter__(self) -> Webhook:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.end()


class Camera:
    """A network camera: sends a clip (MPEG-TS) at its speed to whoever connects, and goes on from where it was."""

    def __init__(self, clip: bytes, seconds: float) -> None:
        self.began, self.connections = time.monotonic(), 0
        camera = self

        class Stream(Handler):
            def do_GET(self) -> None:
                camera.connections += 1
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.send_header("Connection", "close")
                self.end_headers()
                with suppress(OSError):
                    sent = 188 * int(camera.share(seconds) * len(clip) / 188)
                    while sent < len(clip):
                        upto = 188 * int(camera.share(seconds) * len(clip) / 188)
                        self.wfile.write(clip[sent:upto])
                        self.wfile.flush()
                        sent = upto
                        time.sleep(0.02)
                self.close_connection = True

        self.handler = Stream
        self.http = Mortal(0, Stream)
        self.port = self.http.server_address[1]
        self.url = f"http://user:word@127.0.0.1:{self.port}/live.ts"

    def share(self, seconds: float) -> float:
        return min(1.0, (time.monotonic() - self.began) / seconds)

    def unplug(self) -> None:
        self.http.end()

    def plug_in(self) -> None:
        self.http = Mortal(self.port, self.handler)

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.end()
