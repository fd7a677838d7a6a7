"""Parse warnings: what `Answer.reasons` may hold. Files and counts have the id; the sentence is for people and may change."""

from __future__ import annotations

from collections.abc import Mapping

WARNINGS = {
    "bare-word": "a word without quotes where JSON has a value",
    "box-inverted": "x2 < x1 or y2 < y1; the corners were swapped",
    "doubled-mark": "the mark of a label or box twice",
    "json-objects": "JSON from a family that writes another form",
    "label-as-key": "a label as the key of its box",
    "label-not-text": "a label that is not text, or labels that do not fit the number of boxes",
    "label-without-box": "a label without a box",
    "list-without-key": "a list of numbers without a key that says what it is",
    "literal-placeholder": "a placeholder of a training row (<ref-object>, <bbox>)",
    "malformed-box": "a box with another count of numbers, or with something else among them",
    "mixed-grammars": "boxes in two forms in one answer",
    "named-corners": "corners by their names (x1, xmin, left) instead of a list",
    "nested-pairs": "a box as two lists of x, y",
    "no-box": "text without a box",
    "no-box-in-object": "a JSON object without a box",
    "number-like-ratio": "all numbers between 0 and 1 in a space of larger numbers",
    "number-not-finite": "a number too large for a float",
    "number-out-of-range": "a number outside the family's space",
    "numbers-as-text": "the numbers of a box as a string",
    "other-image": "a point on another image than the first",
    "other-key": "a box under another key than the family's",
    "repeated-block": "the whole list twice; counted once",
    "repeated-key": "a key twice in one JSON object",
    "single-quotes": "single quotes where JSON has double quotes",
    "stray-brace": "a brace without its partner",
    "stray-bracket": "a bracket without its partner",
    "stray-mark": "a mark without its partner",
    "unclosed-box": "the text stops within a box",
    "unclosed-label": "the text stops within a label",
    "unclosed-list": "the text stops within a list",
    "unclosed-object": "the text stops within a JSON object",
    "unclosed-string": "the text stops within a string",
    "unclosed-thinking": "the text stops before the end of thinking",
    "unknown-label-key": "a label under an unknown key",
}


def warning_lines(counts: Mapping[str, int]) -> list[str]:
    """One line a warning, in the order of `counts`: `12  box-inverted  (x2 < x1 or y2 < y1; the corners were swapped)`."""
    return [f"{number:>8}  {warning}" + (f"  ({WARNINGS[warning]})" if warning in WARNINGS else "") for warning, number in counts.items()]
