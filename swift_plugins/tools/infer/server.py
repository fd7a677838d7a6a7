"""Answers of an OpenAI-compatible server: `python -m swift.cli.deploy`, vLLM, SGLang, llama.cpp and others. No torch is loaded."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from groundswift import __version__
from groundswift.coordinates import resized_wh
from groundswift.data_urls import data_url
from groundswift.errors import GroundswiftError, ImageMissing, ImageUnreadable, Interrupted, error_at, without_secrets
from groundswift.family import family_row
from groundswift.image_resize import Limits
from groundswift.records import BOX, IMAGE, REF
from groundswift.run_record import RunRecord
from groundswift.spaces import space_row
from groundswift.storage import read_bytes

from .batches import Batch
from .journal import Answer
from .questions import Question, size_of, source_of
from .settings import Settings

REQUESTS = 16  # at once
RETRIES = 4  # of one request, with growing pauses, after 429, 5xx or a lost connection
STREAK = 20  # requests in a row that the server failed at: it is not the rows
KEY = "OPENAI_API_KEY"  # environment variable
MOST_TEXT = 1000  # tokens of a prompt besides its images and its text: the system's, and those of the template
OF_SWIFT = "swift"  # `owned_by` of the models that swift serves


class Server:
    """A server and one of its models. Raises GroundswiftError where it does not answer, or the model is not clear."""

    def __init__(self, settings: Settings) -> None:
        import openai

        self.settings, self.errors = settings, openai
        self.url = base_url(settings.url)
        key = os.environ.get(KEY) or "EMPTY"
        self.record = record_of_server(settings)
        self.client = openai.OpenAI(base_url=self.url, api_key=key, timeout=settings.timeout, max_retries=RETRIES)
        self.served_model, self.is_swift = self._served()
        self.failed_in_a_row = 0

    def _served(self) -> tuple[str, bool]:
        """(the model's name, whether swift serves it)."""
        try:
            models = {model.id: model.owned_by for model in self.client.models.list().data}
        except self.errors.OpenAIError as error:
            raise self._stopped(error) from None
        name = self.settings.served_model or next(iter(models), "")
        if name not in models or (self.settings.served_model is None and len(models) > 1):
            found = ", ".join(models) or "none"
            raise error_at(without_secrets(self.url), f"serves the models {found}", "--served-model, one of them")
        return name, models[name] == OF_SWIFT

    def answers(self, batches: Iterator[Batch]) -> Iterator[tuple[Batch, list[Answer]]]:
        """Answer batches of one question each as they come, several at once. Raises Interrupted where the server is gone."""
        most = self.settings.batch_size or REQUESTS
        pool, waiting = ThreadPoolExecutor(most), {}
        try:
            while True:
                more = islice(batches, 2 * most - len(waiting))
                waiting |= {pool.submit(self.answer, batch.questions[0]): batch for batch in more}
                if not waiting:
                    return
                for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(done), [done.result()]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self.client.close()  # what is on its way need not be waited for

    def answer(self, question: Question) -> Answer:
        """One answer or failure. Raises GroundswiftError where no other question would fare better."""
        started = time.perf_counter()
        try:
            body = self.request(question)
            found = self.client.chat.completions.create(**body)
        except GroundswiftError as error:
            return Answer(error=f"{error} [{id_of(error)}]")
        except self.errors.APITimeoutError:
            return self._failed(f"no answer within {self.settings.timeout:g} s [server-timeout]")
        except (self.errors.RateLimitError, self.errors.InternalServerError) as error:
            return self._failed(f"the server failed ({error.status_code}: {text_of(error)}) [server-failed]")
        except (self.errors.BadRequestError, self.errors.UnprocessableEntityError) as error:
            return Answer(error=f"the server refused the row ({error.status_code}: {text_of(error)}) [row-refused]")
        except self.errors.OpenAIError as error:
            raise self._stopped(error) from None
        self.failed_in_a_row = 0
        answer = answer_of(found, time.perf_counter() - started)
        self._check_limits(question, answer)
        return answer

    def _check_limits(self, question: Question, answer: Answer) -> None:
        """Raise GroundswiftError where the prompt cannot have as many tokens as --min-pixels and --max-pixels give its images."""
        expected = image_tokens(question, self.record)
        if expected is None or answer.prompt_tokens is None:
            return
        text = answer.prompt_tokens - expected
        if text < 0 or (text > MOST_TEXT + len(question.text.encode()) and not question.request.get("tools")):
            what = f"{question.where}: the prompt has {answer.prompt_tokens} tokens, and its images {expected} by the pixel limits given"
            raise error_at(without_secrets(self.url), what, "--min-pixels and --max-pixels as the server has them")

    def _failed(self, why: str) -> Answer:
        self.failed_in_a_row += 1
        if self.failed_in_a_row >= STREAK:
            raise Interrupted(f"{without_secrets(self.url)}: {STREAK} requests in a row failed, the last one: {why}. Run again to go on")
        return Answer(error=why)

    def _stopped(self, error: Exception) -> GroundswiftError:
        status = getattr(error, "status_code", None)
        where = without_secrets(self.url)
        if status in (401, 403):
            return error_at(where, f"refused the key ({status})", f"the server's key in {KEY}")
        if status is not None:
            return error_at(where, f"answered {status}: {text_of(error)}", "the base URL of an OpenAI-compatible server")
        return error_at(where, f"no connection ({text_of(error)})", "a server that is running; run again to go on", Interrupted)

    def request(self, question: Question) -> dict[str, Any]:
        """A question as the API takes it. Raises GroundswiftError where its images cannot be read, or swift would be needed."""
        asked, extra = self.settings, {}
        if question.request.get("videos"):
            raise GroundswiftError("videos are not sent to a server; expected --model")
        if REF in question.text or BOX in question.text:
            if not self.is_swift:
                raise GroundswiftError(f"the question has {REF} or {BOX}, which only a server of swift fills in; expected its text")
            extra["objects"] = question.request.get("objects") or {}
        if kwargs := question.request.get("chat_template_kwargs"):
            extra["chat_template_kwargs"] = kwargs
        if asked.repetition_penalty is not None:
            extra["repetition_penalty"] = asked.repetition_penalty
        images = [image_url(source_of(image)) for image in question.images]
        body = {
            "model": self.served_model,
            "messages": with_images(question.request["messages"], images),
            "max_tokens": asked.max_new_tokens,
        }
        body |= {"temperature": asked.temperature, "seed": asked.seed, "extra_body": extra}
        body |= {"top_p": asked.top_p} if asked.top_p is not None else {}
        body |= {"logprobs": True} if asked.logprobs else {}
        body |= {"top_logprobs": asked.top_logprobs} if asked.top_logprobs else {}
        return body | ({"tools": tools} if (tools := question.request.get("tools")) else {})


def base_url(url: str) -> str:
    """A server's address with the path of its API: /v1 unless another one is given. Raises GroundswiftError where it is not an address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise error_at("--url", repr(url), "http://HOST:PORT/v1")
    return url.rstrip("/") + ("" if parts.path.strip("/") else "/v1")


def record_of_server(settings: Settings) -> RunRecord | None:
    """The record of answers whose family is declared; None without one.

    Raises GroundswiftError where boxes are in pixels of the resized image and the server's limits are not given.
    """
    if settings.family is None:
        return None
    row = family_row(settings.family)
    if space_row(row.space).side == "resized" and (settings.min_pixels is None or settings.max_pixels is None):
        what = f"{row.name} writes pixels of the resized image, and what the server resizes to is not known"
        raise error_at("--family", what, "--min-pixels and --max-pixels as the server has them")
    limits = Limits(settings.min_pixels, settings.max_pixels, None)
    template = next(iter(row.templates), row.name)
    versions = {"groundswift": __version__}
    return RunRecord(family=row.name, template=template, grammar=row.grammar_name, space=row.space, limits=limits, versions=versions)


def image_tokens(question: Question, record: RunRecord | None) -> int | None:
    """How many tokens the images of a question have by the limits of the record; None where no limits are given, or the family's number
    does not follow from them."""
    if record is None or record.limits == Limits() or family_row(record.family).resize_factor is None:
        return None
    sizes_wh = [size_of(image) for image in question.images]
    if None in sizes_wh:
        return None
    factor, limits = family_row(record.family).resize_factor, (record.limits.min_pixels, record.limits.max_pixels)
    inputs_wh = [resized_wh(size_wh, record.family, *limits) for size_wh in sizes_wh]
    return sum(width * height // factor**2 for width, height in inputs_wh)


def with_images(messages: list[dict[str, str]], images: list[str]) -> list[dict[str, Any]]:
    """Messages with images in the place of swift's `<image>`; those without a place go before the first question, as in swift."""
    left, turns = list(images), []
    missing = len(images) - sum(message["content"].count(IMAGE) for message in messages)
    for message in messages:
        text = message["content"]
        if missing > 0 and message["role"] == "user":
            text, missing = IMAGE * missing + text, 0
        pieces = text.split(IMAGE)
        parts: list[dict[str, Any]] = []
        for number, piece in enumerate(pieces):
            parts += [{"type": "text", "text": piece}] if piece else []
            if number < len(pieces) - 1 and left:
                parts.append({"type": "image_url", "image_url": {"url": left.pop(0)}})
        turns.append({"role": message["role"], "content": parts if len(pieces) > 1 else text})
    return turns


def image_url(source: str | bytes) -> str:
    """An image as a URL: its own, else a data URL that every server shows upright."""
    if isinstance(source, str) and source.startswith(("data:", "http://", "https://")):
        return source
    return data_url(source if isinstance(source, bytes) else image_bytes(source))


def image_bytes(path: str) -> bytes:
    """The bytes of an image file, or of an image in base64. Raises GroundswiftError where it is neither."""
    try:
        return read_bytes(path, "an image")
    except GroundswiftError as error:
        try:
            return base64.b64decode(path, validate=True)
        except ValueError:
            raise ImageMissing(str(error)) from None


def answer_of(response: Any, seconds: float) -> Answer:
    """What a response says."""
    choice, usage = response.choices[0], response.usage
    tokens = choice.logprobs.content if choice.logprobs is not None else None
    return Answer(
        response=choice.message.content or "",
        finish_reason=choice.finish_reason,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        logprobs=None if tokens is None else {"content": list(map(token_of, tokens))},
        seconds=round(seconds, 6),
    )


def token_of(token: Any) -> dict[str, Any]:
    """A token with its log-probability, and with the likeliest ones in its place where the server gave them."""
    found = {"token": token.token, "logprob": token.logprob}
    others = [{"token": each.token, "logprob": each.logprob} for each in token.top_logprobs or ()]
    return found | ({"top_logprobs": others} if others else {})


def id_of(error: GroundswiftError) -> str:
    """The id by which a failure is counted."""
    if isinstance(error, ImageMissing):
        return "image-missing"
    return "image-unreadable" if isinstance(error, ImageUnreadable) else "row-refused"


def text_of(error: Exception) -> str:
    """An error of the client or the server on one line, at most 300 characters."""
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    return " ".join(str(said or error).split())[:300]
