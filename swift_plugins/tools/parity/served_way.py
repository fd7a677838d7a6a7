"""A model behind an OpenAI-compatible server: swift deploy, vLLM, SGLang, llama.cpp and others."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from PIL import Image

from groundswift.errors import GroundswiftError, error_at
from groundswift.storage import local_copy

from .answering import Answer, Options, content_parts
from .questions import Question
from .ways import Way

TRIES, PAUSE_S = 3, 1.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONGEST = 300  # characters of what a server says
ENDS = ("<|im_end|>", "<|endoftext|>", "<|end|>", "<|eot_id|>", "<end_of_turn>", "</s>")  # in the text where a server shows special tokens
MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


class ServedWay:
    """A server that answers. Raises GroundswiftError where it does not, or has no model of the given name."""

    record = None

    def __init__(self, way: Way, options: Options) -> None:
        self.way, self.options = way, options
        root = way.url if way.url.endswith("/v1") else f"{way.url}/v1"
        self.root, self.with_logprobs = root, True
        self.opener = build_opener(ProxyHandler({})) if urlsplit(root).hostname in LOOPBACK else build_opener()
        listed = [str(each.get("id")) for each in self._call("/models").get("data") or [] if isinstance(each, dict)]
        self.model = way.served_model or next(iter(listed), None)
        if self.model is None or (listed and self.model not in listed):
            what = "serves no model" if self.model is None else f"serves no model {self.model!r}"
            raise error_at(self.name, what, f"one of {', '.join(listed)}" if listed else "URL,MODEL")

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"way {self.way.name}: {self.way.url}"

    def answers(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """One answer a question, in order; `batch_size` requests at once."""
        if not questions:
            return
        yield self._first(questions[0])
        with ThreadPoolExecutor(self.options.batch_size) as pool:
            done = 1
            for start in range(1, len(questions), self.options.batch_size):
                part = questions[start : start + self.options.batch_size]
                try:
                    yield from list(pool.map(self._answer, part))
                except GroundswiftError as error:
                    raise GroundswiftError(f"{error} ({done} of {len(questions)} answers before it)") from None
                done += len(part)

    def _first(self, question: Question) -> Answer:
        """The first answer; a server that refuses log-probabilities is asked without them from then on."""
        try:
            return self._answer(question)
        except GroundswiftError as error:
            if "logprob" not in str(error):
                raise
        self.with_logprobs = False
        return self._answer(question)

    def _answer(self, question: Question) -> Answer:
        body = {
            "model": self.model,
            "messages": content_parts(question, image_part),
            "max_tokens": self.options.max_new_tokens,
            "temperature": 0,
        }
        if self.with_logprobs:
            body |= {"logprobs": True, "top_logprobs": self.options.top_logprobs}
        found = self._call("/chat/completions", body)
        try:
            choice = found["choices"][0]
            return Answer(without_end(choice["message"]["content"] or ""), choice.get("logprobs"), choice.get("finish_reason"))
        except (KeyError, IndexError, TypeError, AttributeError):
            raise error_at(self.name, f"answered {shortened(json.dumps(found))}", "choices with a message") from None

    def _call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object of one request; silence and errors of the server's own are tried again."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.root + path, data, {"Content-Type": "application/json", "Authorization": "Bearer EMPTY"})
        for attempt in range(1, TRIES + 1):
            try:
                return decoded(self.opener, request, self.options.timeout)
            except HTTPError as error:
                problem = f"HTTP {error.code}: {shortened(error.read().decode('utf-8', 'replace'))}"
                if error.code < 500:
                    break
            except (URLError, OSError) as error:
                problem = f"does not answer ({getattr(error, 'reason', None) or error})"
            except ValueError:
                problem = "answered something else than a JSON object"
                break
            if attempt < TRIES:
                time.sleep(PAUSE_S)
        raise error_at(self.name, problem, "a running OpenAI-compatible server")

    def close(self) -> None:
        """Nothing to free."""


def decoded(opener: OpenerDirector, request: Request, timeout_s: float) -> dict[str, Any]:
    """The JSON object that a server answers. Raises OSError and, for something else, ValueError."""
    with opener.open(request, timeout=timeout_s) as response:
        found = json.loads(response.read())
    if not isinstance(found, dict):
        raise ValueError
    return found


def without_end(text: str) -> str:
    """An answer without the token that ended it: llama.cpp shows it with the tokens that surround boxes (`--special`), others do not."""
    return next((text.removesuffix(end) for end in ENDS if text.endswith(end)), text)


def shortened(text: str) -> str:
    """A text of a server on one line."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def image_part(image: Any) -> dict[str, Any]:
    """An image as OpenAI's API takes it."""
    return {"type": "image_url", "image_url": {"url": data_url(image)}}


def data_url(image: Any) -> str:
    """An image as a data URL: the bytes of a JPEG, PNG or WebP file as they are, another one as PNG."""
    data = image if isinstance(image, bytes) else Path(local_copy(image)).read_bytes()
    with Image.open(BytesIO(data)) as found:
        mime = MIME.get(found.format or "")
        if mime is None:
            buffer = BytesIO()
            found.convert("RGB").save(buffer, "PNG")
            data, mime = buffer.getvalue(), "image/png"
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
