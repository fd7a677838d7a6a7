"""One question to one judge, and its verdict, or the id of why there is none."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from groundswift import chat_client
from groundswift.chat_client import LARGEST, LONGEST_SHOWN, Asker, ChatClient, Limits, Reply, reply_of
from groundswift.grammars.base import without_thinking

from ..answers.text_measures import INSTALL

__all__ = ["FAILED", "LARGEST", "Judge", "Limits", "Verdict", "verdict_of"]
YES_OR_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
FAILED = tuple(f"judge-{problem}" for problem in chat_client.FAILED)  # after many of these a server is not asked further


class Verdict(msgspec.Struct, frozen=True):
    """What a judge said: `vote`, None where there is none, as `problem` says by id; the beginning of its text."""

    vote: bool | None
    text: str = ""
    problem: str = ""


class Judge:
    """A model at a server. `key`: its API key, which no message or file gets. `fields`: of the request, besides model and messages.

    Raises GroundswiftError where the openai client is not installed.
    """

    def __init__(self, url: str, model: str, key: str = "", fields: dict[str, Any] | None = None, limits: Limits | None = None) -> None:
        self.url, self.model, self.fields = url, model, fields or {}
        asker = Asker("judge", "the URL up to /v1, a model it serves, and --judge-key-env", INSTALL)
        self._client = ChatClient(url, key, limits or Limits(), asker)

    def ask(self, prompt: str) -> Verdict:
        """The verdict on one prompt. Raises GroundswiftError where the server refuses the key or has no such model."""
        return verdict_in(self._client.ask(self.model, [{"role": "user", "content": prompt}], self.fields))


def verdict_of(body: bytes) -> Verdict:
    """The verdict in the body of a response."""
    return verdict_in(reply_of(body))


def verdict_in(reply: Reply) -> Verdict:
    """The verdict in a reply: the first yes or no if the text begins with it, else the only one that it holds."""
    text = reply.text
    if reply.problem:
        return Verdict(None, text[:LONGEST_SHOWN], f"judge-{reply.problem}")
    said = without_thinking(text)
    words = [word.lower() for word in YES_OR_NO.findall(said or "")]
    first = re.match(r"[\W_]*(yes|no)\b", said or "", re.IGNORECASE)
    if first or len(set(words)) == 1:
        return Verdict((first[1].lower() if first else words[0]) == "yes", text.strip()[:LONGEST_SHOWN])
    return Verdict(None, text.strip()[:LONGEST_SHOWN], "judge-unreadable")
