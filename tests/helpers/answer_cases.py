"""What the tests of grammars write their cases with: things located, and a text with all that is read from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from groundswift import Located, parse


def read(text: str, family: str) -> tuple[list[Located], str, list[str]]:
    """Objects, status and reasons of an answer."""
    answer = parse(text, family)
    return answer.objects, answer.status, answer.reasons


def dog(*numbers: float) -> Located:
    return Located("dog", numbers or (1, 2, 30, 40))


def cat(*numbers: float) -> Located:
    return Located("cat", numbers or (5, 6, 70, 80))


def bare(*numbers: float) -> Located:
    return Located("", numbers)


def reads(**cases_of: list[Any]) -> Callable[..., None]:
    """A test: every text of the cases of a family is read as they say."""
    rows = [pytest.param(family, *row.values, id=f"{family}-{row.id}") for family, cases in cases_of.items() for row in cases]

    @pytest.mark.parametrize(("family", "text", "objects", "status", "reasons"), rows)
    def test(family: str, text: str, objects: list[Located], status: str, reasons: list[str]) -> None:
        assert read(text, family) == (objects, status, reasons)

    return test


def case(name: str, text: str, objects: list[Located], status: str, *reasons: str) -> Any:
    return pytest.param(text, objects, status, list(reasons), id=name)
