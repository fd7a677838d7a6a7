"""A real OpenAI-compatible server on this machine whose answers follow from the question: boxes computed from the image's bytes.

with AnswerServer() as server: ... server.url, server.requests
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from PIL import Image

MODEL = "seer"
TOKEN_LIMIT = 300  # of a question, in characters
Refuse = Callable[[int, dict[str, Any]], int | None]


class Quiet(ThreadingHTTPServer):
    """A server that says nothing of clients that were killed."""

    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Nothing."""


class AnswerServer:
    """`delay`: seconds before each answer. `refuse`: from (number of the request, its body) to a status to fail with, or None."""

    def __init__(
        self, delay: float = 0.0, refuse: Callable[[int, dict[str, Any]], int | None] | None = None, owner: str = "others"
    ) -> None:
        self.delay, self.refuse, self.owner = delay, refuse or (lambda number, body: None), owner
        self.requests: list[dict[str, Any]] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send(200, {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": server.owner}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server.lock:
                    server.requests.append(body)
                    number = len(server.requests)
                    server.at_once += 1
                    server.most_at_once = max(server.most_at_once, server.at_once)
                time.sleep(server.delay)
                status = server.refuse(number, body)
                with server.lock:
                    server.at_once -= 1
                if status is not None:
                    self.send(status, {"error": {"message": f"refused with {status}"}})
                elif len(text_of(body)) > TOKEN_LIMIT:
                    self.send(400, {"error": {"message": "the question is longer than the model"}})
                else:
                    self.send(200, answer_to(body))

            def send(self, status: int, document: dict[str, Any]) -> None:
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                """Nothing."""

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self) -> AnswerServer:
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()


def parts_of(body: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The parts of one kind in all messages of a request."""
    contents = [message["content"] for message in body["messages"]]
    parts = [part for content in contents for part in ([{"type": "text", "text": content}] if isinstance(content, str) else content)]
    return [part for part in parts if part["type"] == kind]


def text_of(body: dict[str, Any]) -> str:
    """All texts of a request."""
    return "".join(part["text"] for part in parts_of(body, "text"))


def image_of(body: dict[str, Any]) -> Image.Image:
    """The first image of a request, as a server without EXIF sees it."""
    return Image.open(BytesIO(base64.b64decode(parts_of(body, "image_url")[0]["image_url"]["url"].partition(",")[2])))


def likeliest(body: dict[str, Any], text: str) -> list[dict[str, Any]]:
    """As many tokens as the request asks for."""
    return [{"token": f"{text}{'x' * number}", "logprob": -0.25 - number} for number in range(body.get("top_logprobs") or 0)]


def answer_to(body: dict[str, Any]) -> dict[str, Any]:
    """A Qwen2-VL answer whose box and number of boxes follow from the pixels and the text."""
    digest = hashlib.sha256(image_of(body).tobytes() + text_of(body).encode()).digest()
    boxes = [(digest[n] * 2, digest[n + 1] * 2, 520 + digest[n + 2], 520 + digest[n + 3]) for n in range(0, 4 * (digest[31] % 3), 4)]
    text = "".join(f"<|object_ref_start|>cat<|object_ref_end|><|box_start|>({a},{b}),({c},{d})<|box_end|>" for a, b, c, d in boxes)
    text = text or "None"
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    if body.get("logprobs"):
        choice["logprobs"] = {
            "content": [{"token": text, "logprob": -0.25, "bytes": list(text.encode()), "top_logprobs": likeliest(body, text)}]
        }
    usage = {"prompt_tokens": 7, "completion_tokens": len(text), "total_tokens": 7 + len(text)}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice], "usage": usage}
