"""A server whose models write questions and answers about the images that they get; the others behave as those of `judge_server`."""

from __future__ import annotations

import base64
import hashlib
import json
from io import BytesIO
from typing import Any

from judge_server import JudgeHandler, completion
from PIL import Image

Parts = list[dict[str, Any]]
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def texts(parts: Parts) -> str:
    """The text of a request."""
    return "".join(part["text"] for part in parts if part["type"] == "text")


def pixels(parts: Parts) -> list[Image.Image]:
    """The images of a request, decoded."""
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    images = [Image.open(BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]
    for image in images:
        image.load()
    return images


class WriterHandler(JudgeHandler):
    """Its models: writer, describer, and those that fail."""

    def do_GET(self) -> None:
        self.send(json.dumps({"object": "list", "data": [{"id": "writer", "object": "model"}]}).encode())

    def write(self, text: str, **more: Any) -> None:
        self.send(json.dumps({**json.loads(completion(text, finish_reason="stop", **more)), "usage": USAGE}).encode())

    def as_writer(self, parts: Parts) -> None:
        """Two pairs that follow from the pixels."""
        digest = hashlib.sha256(pixels(parts)[0].tobytes() + texts(parts).encode()).hexdigest()
        self.write(f"Here they are.\n\nQ: What is {digest[:6]}?\nA: It is {digest[6:12]}.\n\nQ: Is it {digest[-3:]}?\nA: Yes.\n")

    def as_describer(self, parts: Parts) -> None:
        """What the prompt says of anomalies."""
        none = "Anomalies among them: none." in texts(parts)
        self.write(f"Description: A bench.\nVerdict: {'normal' if none else 'anomaly'}\nReason: It {'lacks' if none else 'shows'} one.")

    def as_contrary(self, parts: Parts) -> None:
        self.write("Description: A bench.\nVerdict: anomaly\nReason: As always.")

    def as_letters(self, parts: Parts) -> None:
        self.write("Q: Which?\nA. red\nB. blue\nA: B\n\nQ: Why?\nA: Because.\n")

    def as_orphans(self, parts: Parts) -> None:
        self.write("A: an answer\n\nQ: one?\nA: yes\nA: and no\nQ: two?\nQ: three <image>?\nA: tag\nQ: one?\nA: again\nQ: last?")

    def as_flaky(self, parts: Parts) -> None:
        """Busy for the first request of each prompt, then a 500, then a writer."""
        asked = sum(each["messages"][0]["content"] == parts for each in self.server.seen)
        if asked == 1:
            self.send(b'{"error": {"message": "busy"}}', 429, Retry_After="0.01")
        elif asked == 2:
            self.send(b'{"error": {"message": "broken"}}', 500, Retry_After="0.01")
        else:
            self.as_writer(parts)

    def as_sorry(self, parts: Parts) -> None:
        self.write("I'm sorry, I cannot help with that.")
