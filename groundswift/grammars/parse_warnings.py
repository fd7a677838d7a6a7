"""Parse warnings: what `Answer.reasons` may hold. Files and counts have the id; the sentence is for people and may change."""

from __future__ import annotations

from collections.abc import Mapping

WARNINGS = {
    "bare-word": "an unquoted word in JSON",
    "box-inverted": "x2 < x1 or y2 < y1; the corners were swapped",
    "doubled-mark": "the tag of a label or box twice in a row",
    "json-objects": "JSON, where the family writes another form",
    "label-as-key": "a label as the key of its box",
    "label-not-text": "a label that is not text, or a list of labels of another length than that of boxes",
    "label-without-box": "a label without a box",
    "list-without-key": "a list of numbers without a key that says what it is",
    "literal-placeholder": "a placeholder of a training row (<ref-object>, <bbox>)",
    "malformed-box": "a box with the wrong count of numbers, or with something that is not a number",
    "mixed-grammars": "boxes in two forms in one answer",
    "named-corners": "corners under names (x1, xmin, left) instead of in a list",
    "nested-pairs": "a box as two pairs [x, y], [x, y]",
    "no-box": "text without a box",
    "no-box-in-object": "a JSON object without a box",
    "number-like-ratio": "all numbers between 0 and 1 in a space of larger numbers",
    "number-not-finite": "a number too large for a float",
    "number-out-of-range": "a number outside the family's space",
    "numbers-as-text": "the numbers of a box as a string",
    "other-image": "a point on an image other than the first",
    "other-key": "a box under another key than the family's",
    "repeated-block": "the whole list twice; counted once",
    "repeated-key": "a key twice in one JSON object",
    "single-quotes": "single quotes where JSON has double quotes",
    "stray-brace": "an unmatched brace",
    "stray-bracket": "an unmatched bracket",
    "stray-mark": "an unmatched tag, such as <box> without </box>",
    "unclosed-box": "the text stops within a box",
    "unclosed-label": "the text stops within a label",
    "unclosed-list": "the text stops within a list",
    "unclosed-object": "the text stops within a JSON object",
    "unclosed-string": "the text stops within a string",
    "unclosed-thinking": "the text stops before the thinking block ends",
    "unknown-label-key": "a label under an unknown key",
}


def warning_lines(counts: Mapping[str, int]) -> list[str]:
    """One line a warning, in the order of `counts`: `12  box-inverted  (x2 < x1 or y2 < y1; the corners were swapped)`."""
    return [f"{number:>8}  {warning}" + (f"  ({WARNINGS[warning]})" if warning in WARNINGS else "") for warning, number in counts.items()]
