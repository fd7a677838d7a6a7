"""Options of the commands that ask a server of chat completions: its key, and further fields of each request."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from .errors import GroundswiftError


def key_of(option: str, variable: str | None) -> str:
    """The API key; "" without a variable. Raises GroundswiftError where it is not set; another variable is never read."""
    key = os.environ.get(variable, "") if variable else ""
    if variable and not key:
        raise GroundswiftError(f"{option} {variable}: the environment variable is not set; expected the API key")
    return key


def fields_of(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """Fields of the request besides model and messages, of NAME=JSON; null removes one. Raises click.UsageError for another form."""
    fields: dict[str, Any] = {"temperature": 0}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            fields[name] = msgspec.json.decode(value)
        except msgspec.MsgspecError:
            raise click.UsageError(f"{option} {text!r}: the value is not JSON; expected NAME=JSON, such as max_tokens=512") from None
    return {name: value for name, value in fields.items() if value is not None}
