"""Errors say where, what and what was expected; a tally counts by reason."""

import pytest

from groundswift.errors import GroundswiftError, Tally, error_at


def test_an_error_says_where_what_and_what_was_expected():
    assert str(error_at("labels/7.txt:3", "got 4 fields", "5")) == "labels/7.txt:3: got 4 fields; expected 5"
    assert str(error_at("a.json", "cannot be read")) == "a.json: cannot be read"


def test_an_error_is_a_value_error_of_our_own():
    assert isinstance(error_at("a", "b"), GroundswiftError)
    with pytest.raises(ValueError, match="^a: b$"):
        raise error_at("a", "b")


def test_a_tally_puts_the_most_frequent_first_with_its_first_examples():
    tally = Tally()
    for number in range(5):
        tally.add("crowd box", f"annotation {number}")
    tally.add("box-empty", "annotation 9")
    tally.add("no reason to show", count=3)
    assert tally.lines() == [
        "       5  crowd box  (annotation 0, annotation 1, annotation 2, ...)",
        "       3  no reason to show",
        "       1  box-empty  (annotation 9)",
    ]
    assert tally.counts == {"crowd box": 5, "no reason to show": 3, "box-empty": 1}


def test_long_examples_keep_their_end():
    tally = Tally()
    tally.add("image-missing", f"image {'x' * 9_000}: not found; expected the image file")
    (line,) = tally.lines()
    assert len(line) < 1_100
    assert line.endswith("not found; expected the image file)")


def test_no_example_zero_and_a_lone_surrogate_can_be_printed():
    tally = Tally()
    assert tally.lines() == []
    tally.add("image-unknown", 0)
    tally.add("image missing", "ref 1 (\ud800.jpg)")
    assert tally.lines() == ["       1  image-unknown  (0)", "       1  image missing  (ref 1 (\\ud800.jpg))"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:word@host/a@2x.jpg?sig=abc&b=1: no such image", "https://host/a@2x.jpg?...: no such image"),
        ("rows 's3://key:word@bucket/a' and \"http://host/b?c\", d", "rows 's3://bucket/a' and \"http://host/b?...\", d"),
        ("https://host/a.json?...:7, turn 1", "https://host/a.json?...:7, turn 1"),
        ("what?: me@host says a://", "what?: me@host says a://"),
    ],
)
def test_no_error_or_count_shows_a_secret_of_a_url(text, shown):
    tally = Tally()
    tally.add("reason", text)
    assert (str(GroundswiftError(text)), str(error_at("x", text)), tally.examples) == (shown, f"x: {shown}", {"reason": [shown]})
