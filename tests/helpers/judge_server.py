"""A server of chat completions on loopback, whose models behave as their names say."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MEGABYTE = b" " * (1 << 20)
PACKED = gzip.compress(20 * MEGABYTE, compresslevel=1)


def completion(text: str | None, **more: Any) -> bytes:
    """The body of a response."""
    message = {"role": "assistant", "content": text, **{key: more.pop(key) for key in ("refusal",) if key in more}}
    return json.dumps({"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": message, **more}]}).encode()


def is_right(prompt: str) -> bool:
    """Whether the answer in a prompt is one of the true answers, by its letters alone."""
    texts = {
        line.split(": ", 1)[0]: json.loads(line.split(": ", 1)[1]) for line in prompt.splitlines() if line.startswith(("True", "Model"))
    }
    return texts["Model's answer"] in texts["True answers"]


class JudgeHandler(BaseHTTPRequestHandler):
    """Replies to POST /v1/chat/completions as the model of the request would."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append({**request, "authorization": self.headers.get("Authorization"), "path": self.path})
        try:
            getattr(self, f"as_{request['model'].replace('-', '_')}")(request["messages"][0]["content"])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def send(self, body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def as_strict(self, prompt: str) -> None:
        self.send(completion("yes" if is_right(prompt) else "No."))

    def as_thinker(self, prompt: str) -> None:
        self.send(completion(f"<think>yes or no?</think>\n**{'Yes' if is_right(prompt) else 'no'}**, it is."))

    def as_kind(self, prompt: str) -> None:
        self.send(completion("Yes, of course"))

    def as_vague(self, prompt: str) -> None:
        self.send(completion("Either yes or no." if "Either" in prompt else "That depends, yes or no"))

    def as_refusing(self, prompt: str) -> None:
        self.send(completion(None, refusal="I cannot help with that."))

    def as_filtered(self, prompt: str) -> None:
        self.send(completion("", finish_reason="content_filter"))

    def as_html(self, prompt: str) -> None:
        self.send(b"<html><body>Welcome, yes, to the portal</body></html>", kind="text/html")

    def as_empty(self, prompt: str) -> None:
        self.send(b'{"choices": []}')

    def as_slow(self, prompt: str) -> None:
        time.sleep(self.server.wait_s)
        self.send(completion("yes"))

    def as_trickling(self, prompt: str) -> None:
        """A byte now and then, so that no single read times out."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(200):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(self.server.wait_s / 20)

    def as_trickling_headers(self, prompt: str) -> None:
        """The same before the body: a letter of a header now and then."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(200):
            self.wfile.write(b"a")
            self.wfile.flush()
            time.sleep(self.server.wait_s / 20)

    def as_huge_headers(self, prompt: str) -> None:
        """100 MB before the body."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Huge: ")
        for _ in range(100):
            self.wfile.write(b"a" * len(MEGABYTE))
            self.server.sent += len(MEGABYTE)

    def as_huge(self, prompt: str) -> None:
        """100 MB, before a JSON document that would be a yes."""
        body = completion("yes")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + 100 * len(MEGABYTE)))
        self.end_headers()
        for _ in range(100):
            self.wfile.write(MEGABYTE)
            self.server.sent += len(MEGABYTE)
        self.wfile.write(body)

    def as_huge_error(self, prompt: str) -> None:
        self.send_response(500)
        self.send_header("Content-Length", str(100 * len(MEGABYTE)))
        self.end_headers()
        for _ in range(100):
            self.wfile.write(MEGABYTE)
            self.server.sent += len(MEGABYTE)

    def as_packed(self, prompt: str) -> None:
        self.send(PACKED, Content_Encoding="gzip")

    def as_dying(self, prompt: str) -> None:
        """Ends the connection in the middle of the response."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"choices"')
        self.wfile.flush()
        self.connection.close()
        self.close_connection = True

    def as_failing(self, prompt: str) -> None:
        self.send(b'{"error": {"message": "out of memory"}}', 500)

    def as_locked(self, prompt: str) -> None:
        said = f"Incorrect API key provided: {self.headers['Authorization'].removeprefix('Bearer ')}"
        self.send(json.dumps({"error": {"message": said}}).encode(), 401)

    def as_recovering(self, prompt: str) -> None:
        """Busy at first, then strict."""
        asked = sum(each["messages"][0]["content"] == prompt for each in self.server.seen if each["model"] == "recovering")
        if asked == 1:
            self.send(b'{"error": {"message": "busy"}}', 429, Retry_After="0.01")
        else:
            self.as_strict(prompt)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def judge_server(wait_s: float = 1, handler: type[JudgeHandler] = JudgeHandler) -> Iterator[ThreadingHTTPServer]:
    """The server: `url`, the requests `seen`, how many bytes were `sent` of huge replies."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads, server.block_on_close = True, False
    server.seen, server.sent, server.wait_s = [], 0, wait_s
    server.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
