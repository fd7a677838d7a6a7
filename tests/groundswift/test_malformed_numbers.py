"""The malformed numbers that people met, in the text of every family but those of JSON: what is read, the status, and the reasons."""

import math

import pytest
from answer_cases import read

from groundswift import Located, parse

SHAPES = {  # family: (label and box, scale of the numbers)
    "qwen_vl": ("<ref>{l}</ref><box>({0},{1}),({2},{3})</box>", 1),
    "qwen2_vl": ("<|object_ref_start|>{l}<|object_ref_end|><|box_start|>({0},{1}),({2},{3})<|box_end|>", 1),
    "internvl": ("<ref>{l}</ref><box>[[{0}, {1}, {2}, {3}]]</box>", 1),
    "deepseek_vl2": ("<|ref|>{l}<|/ref|><|det|>[[{0}, {1}, {2}, {3}]]<|/det|>", 1),
    "minicpmv4_5": ("<ref>{l}</ref><box>{0} {1} {2} {3}</box>", 1),
    "rex_omni": ("<|object_ref_start|>{l}<|object_ref_end|><|box_start|><{0}><{1}><{2}><{3}><|box_end|>", 1),
    "glm4v": ("{l}<|begin_of_box|>[[{0},{1},{2},{3}]]<|end_of_box|>\n", 1),
    "cogvlm": ("{l}[[{0},{1},{2},{3}]]\n", 1),
    "shikra": ("{l}[{0},{1},{2},{3}]\n", 0.01),
    "llava": ("{l}[{0}, {1}, {2}, {3}]\n", 0.01),
    "ferret": ("{l} [{0}, {1}, {2}, {3}]\n", 1),
    "swift_fallback": ("{l}[({0},{1}),({2},{3})]\n", 1),
    "florence2": ("{l}<loc_{0}><loc_{1}><loc_{2}><loc_{3}>", 1),
    "paligemma": ("<loc{1}><loc{0}><loc{3}><loc{2}> {l} ; ", 1),
}
for_each_shape = pytest.mark.parametrize("family", list(SHAPES))


def scaled(family: str, number: str) -> str:
    """A number as the family's space has it: hundredths where it ends at 1. Other text stays."""
    try:
        value = float(number) * SHAPES[family][1]
    except ValueError:
        return number
    return number if SHAPES[family][1] == 1 or not math.isfinite(value) else repr(value)


def text(family: str, label: str, *numbers: str) -> str:
    return SHAPES[family][0].format(*(scaled(family, number) for number in numbers), l=label)


def box(family: str, label: str, *numbers: float) -> Located:
    return Located(label, tuple(float(scaled(family, repr(number))) for number in numbers))


NUMBERS = [  # name, the numbers written, the box read or None, reasons
    ("well formed", ("1", "2", "30", "40"), (1, 2, 30, 40), []),
    ("leading zeros", ("001", "002", "030", "040"), (1, 2, 30, 40), []),
    ("fractions", ("1.5", ".5", "30.25", "40."), (1.5, 0.5, 30.25, 40), []),
    ("exponents", ("1e0", "2", "3e1", "4E+1"), (1, 2, 30, 40), []),
    ("x2 under x1", ("30", "2", "1", "40"), (1, 2, 30, 40), ["box-inverted"]),
    ("y2 under y1", ("1", "40", "30", "2"), (1, 2, 30, 40), ["box-inverted"]),
    ("far outside the range", ("1", "2", "10825", "40"), (1, 2, 10825, 40), ["number-out-of-range"]),
    ("negative", ("-1", "2", "30", "40"), (-1, 2, 30, 40), ["number-out-of-range"]),
    ("inverted and outside", ("30", "-2", "1", "40"), (1, -2, 30, 40), ["box-inverted", "number-out-of-range"]),
    ("too large to be finite", ("1", "2", "1e999", "40"), None, ["number-not-finite"]),
    ("a number of 5000 digits", ("1", "2", "9" * 5000, "40"), None, ["number-not-finite"]),
    ("NaN", ("NaN", "2", "30", "40"), None, ["malformed-box"]),
    ("infinity", ("1", "2", "Infinity", "40"), None, ["malformed-box"]),
    ("a word", ("1", "two", "30", "40"), None, ["malformed-box"]),
    ("a number with two points", ("1", "2.3.4", "30", "40"), None, ["malformed-box"]),
    ("ratios", ("0.1", "0.2", "0.5", "1"), (0.1, 0.2, 0.5, 1), ["number-like-ratio"]),
    ("a ratio of whole numbers", ("0", "0", "1", "1"), (0, 0, 1, 1), []),
]


@for_each_shape
@pytest.mark.parametrize(("name", "numbers", "read", "reasons"), [pytest.param(*row, id=row[0]) for row in NUMBERS])
def test_numbers_of_a_box(family, name, numbers, read, reasons):
    if SHAPES[family][1] != 1:
        reasons = [reason for reason in reasons if reason != "number-like-ratio"]  # ratios are what it writes
    cat = box(family, "cat", 5, 6, 70, 80)
    answer = parse(text(family, "dog", *numbers) + text(family, "cat", "5", "6", "70", "80"), family)
    assert answer.objects == ([] if read is None else [box(family, "dog", *read)]) + [cat]
    assert (answer.status, answer.reasons) == ("ok", reasons)
    alone = parse(text(family, "dog", *numbers), family)
    assert (len(alone.objects), alone.reasons) == (int(read is not None), reasons)
    assert alone.status == ("ok" if read else "unreadable")


LABELS = ["DOGS", "dog, big", 'a "dog"\'s', "大狗", "dog's", "dog; cat", "a <dog>", "dog (1)", "dog [1]", "5 dogs", "e", "nan"]


@for_each_shape
def test_labels_of_a_box(family):
    for label in LABELS:
        boxes = text(family, "cat", "5", "6", "70", "80") + text(family, label, "1", "2", "30", "40")
        assert read(boxes, family) == ([box(family, "cat", 5, 6, 70, 80), box(family, label, 1, 2, 30, 40)], "ok", [])


@for_each_shape
def test_the_same_box_to_the_token_limit(family):
    dog = text(family, "dog", "1", "2", "30", "40")
    before_the_end = dog.rindex("40") if "40" in dog else dog.rindex("0.4")
    assert read(dog * 50 + dog[:before_the_end], family) == ([box(family, "dog", 1, 2, 30, 40)] * 50, "truncated", [])


@for_each_shape
def test_text_around_a_number_is_not_part_of_it(family):
    dog = text(family, "dog", "1", "2", "30", "40").removesuffix(" ; ")
    for before in ("Here you are:\n", "<think>Is it [1, 2, 3, 4]?\n</think>\n", "```\n", "<grounding>\n"):
        for after in ("", "\nThat is all.", "\n```", "" if family == "paligemma" else "<|im_end|>"):  # its label ends with its line
            assert read(before + dog + after, family) == ([box(family, "dog", 1, 2, 30, 40)], "ok", [])


@for_each_shape
def test_literal_placeholders(family):
    for said in ("<ref-object><bbox>", "The <ref-object> is at <bbox>."):
        assert read(said, family) == ([], "unreadable", ["literal-placeholder"])
    assert read(text(family, "dog", "1", "2", "30", "40") + "\n<bbox>", family) == (
        [box(family, "dog", 1, 2, 30, 40)],
        "ok",
        ["literal-placeholder"],
    )


@for_each_shape
def test_words_alone(family):
    for said in ("A dog lies on the grass.", '{"answer": "dog"}', "yes", "42"):
        assert read(said, family) == ([], "unreadable", ["no-box"])
