"""Numbers as text, and what counts as thinking or as nothing."""

import math

import pytest

from groundswift.errors import GroundswiftError
from groundswift.grammars.base import Reading, as_number, says_nothing, without_thinking, write_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (-1.25, "-1.25"),
        (1e22, "1" + 22 * "0"),
        (1e-7, "1e-07"),
        (0.1 + 0.2, repr(0.1 + 0.2)),
    ],
)
def test_a_number_is_written_with_all_its_digits(value, text):
    assert write_number(value) == text
    assert as_number(text) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_written(value):
    with pytest.raises(GroundswiftError, match="expected a finite number"):
        write_number(value)


INFINITE = [("9" * 5000, math.inf), ("-" + "9" * 400, -math.inf)]


@pytest.mark.parametrize(
    ("text", "value"),
    [("007", 7), ("+3", 3), ("-3", -3), ("3.", 3), (".5", 0.5), ("1e3", 1000), ("0" * 5000 + "7", 7), *INFINITE],
)
def test_texts_of_numbers(text, value):
    assert as_number(text) == value


def test_whole_numbers_are_ints():
    assert isinstance(as_number("12"), int)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no thought", "no thought"),
        ("<think>ab</think>cd", " " * 17 + "cd"),
        ("ab</think>cd", " " * 10 + "cd"),
        ("a</think>b</think>c", " " * 18 + "c"),
        ("  <think>never ends", None),
        ("a word on <think> in a sentence", "a word on <think> in a sentence"),
    ],
)
def test_thinking_becomes_blanks_of_the_same_length(text, said):
    assert without_thinking(text) == said


@pytest.mark.parametrize("text", ["", " ", "None", "NONE.", "null", "[]", "[ \n]", "[][]", "```json\n[]\n```", "```\n```"])
def test_nothing(text):
    assert says_nothing(text)


@pytest.mark.parametrize("text", ["nothing", "[", "]", "[[]]", "{}", "0", "none of them", "no dog"])
def test_something(text):
    assert not says_nothing(text)


@pytest.mark.parametrize(
    ("limit", "numbers", "reasons"),
    [
        (1000, (0, 0, 1000, 1000), []),
        (1000, (0, 0, 1000, 1001), ["number-out-of-range"]),
        (1000, (-1, 0, 5, 5), ["number-out-of-range"]),
        (None, (0, 0, 9999, 9999), []),
        (1000, (5, 0, 0, 5), ["box-inverted"]),
        (1000, (5, 0, 0, 1001), ["box-inverted", "number-out-of-range"]),
        (1000, (0.1, 0.2, 0.3, 0.4), ["number-like-ratio"]),
        (1000, (0, 0, 1, 1), []),
        (1000, (0.5, 0.5, 1.5, 1.5), []),
    ],
)
def test_a_box_is_kept_with_what_is_odd_about_it(limit, numbers, reasons):
    reading = Reading(limit)
    reading.place("dog", numbers, (0, 1))
    assert len(reading.objects) == 1
    assert reading.reasons == reasons


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [(numbers, "malformed-box") for numbers in ((), (1,), (1, 2, 3), (1, 2, 3, 4, 5), (1, None), (1, 2, 3, None))]
    + [(numbers, "number-not-finite") for numbers in ((1, 2, 3, math.nan), (math.inf, 2))],
)
def test_what_is_not_a_box_is_dropped_with_a_warning(numbers, reason):
    reading = Reading(1000)
    reading.place("dog", numbers, (0, 1))
    assert (reading.objects, reading.reasons) == ([], [reason])
