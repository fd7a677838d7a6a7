"""Malformed answers for `parse.py`: what models wrote in public threads, with the boxes that a person could still read.

A text is a row of pieces; `{D}` and `{C}` are the whole dog and the whole cat in a family's own text, and the other names for parts
of them. Sources: ms-swift#5280, #8063; roboflow/inference#2930; supervision#2342; Rex-Omni#83.
"""

from __future__ import annotations

DOG, CAT = (100, 200, 300, 400), (500, 600, 700, 800)  # x1, y1, x2, y2 as the family counts

JSON = [  # name, text, boxes that can be read; KEY and the numbers are the family's
    ("well formed", "```json\n[\n\t{D},\n\t{C}\n]\n```", 2),
    ("fence without a language", "```\n[{D}, {C}]\n```", 2),
    ("no fence", "[{D}, {C}]", 2),
    ("fence without an end", "```json\n[{D}, {C}]", 2),
    ("missing comma between objects", "[{D}\n{C}]", 2),
    ("comma after the last object", "[{D}, {C},]", 2),
    ("list truncated between objects", "[{D}, {C},", 2),
    ("list truncated in a key", '[{D}, {{"KEY', 1),
    ("list truncated in a number", '[{D}, {{"KEY": [5, 6, 7', 1),
    ("list truncated in a label", '[{D}, {{"KEY": {c}, "label": "ca', 1),
    ("list truncated before the last bracket", "[{D}, {C}", 2),
    ("a bare object without the list", "{D}", 1),
    ("bare objects, one a line", "{D}\n{C}", 2),
    ("[..] then [..]", "[{D}]\n[{C}]", 2),
    ("[] then [..]", "[]\n[{C}]", 1),
    ("stray closing ]", "[{D}, {C}]]", 2),
    ("closing ] without its [", "{D}, {C}]", 2),
    ("object closed twice", "[{D}}}, {C}]", 2),
    ("object never closed", '[{{"KEY": {d}, "label": "dog", {C}]', 2),
    ("box is null, then more", '[{{"KEY": null, "label": "dog"}}, {C}]', 1),
    ("box holds strings, then more", '[{{"KEY": ["a", "b", "c", "d"], "label": "dog"}}, {C}]', 1),
    ("box is empty, then more", '[{{"KEY": [], "label": "dog"}}, {C}]', 1),
    ("three numbers, then more", '[{{"KEY": [1, 2, 3], "label": "dog"}}, {C}]', 1),
    ("five numbers, then more", '[{{"KEY": [1, 2, 3, 4, 5], "label": "dog"}}, {C}]', 1),
    ("box in two brackets", '[{{"KEY": [{d}], "label": "dog"}}]', 1),
    ("label is null", '[{{"KEY": {d}, "label": null}}]', 1),
    ("label is a list", '[{{"KEY": {d}, "label": ["dog"]}}, {C}]', 2),
    ("label without quotes", '[{{"KEY": {d}, "label": dog}}, {C}]', 2),
    ("no label", '[{{"KEY": {d}}}, {C}]', 2),
    ("list under a name", '{{"objects": [{D}, {C}]}}', 2),
    ("words before and after", "Here they are: [{D}, {C}] That is all.", 2),
    ("words before a fence", "Here they are:\n```json\n[{D}, {C}]\n```\nThat is all.", 2),
    ("brackets in the words before", "All [2] of them: [{D}, {C}]", 2),
    ("thinking before", "<think>A cat? [1]</think>\n[{D}]", 1),
    ("bare list", "[{d}]", 1),
    ("corners in the wrong order", '[{{"KEY": {swapped}, "label": "dog"}}]', 1),
    ("the same box to the token limit", "[" + "{D}, " * 20 + '{{"KEY": [1', 20),
    ("label with a bare quote", '[{{"KEY": {d}, "label": "a 12" dog"}}, {C}]', 2),
    ("label with a bare line break", '[{{"KEY": {d}, "label": "big\ndog"}}, {C}]', 2),
    ("label with a broken escape", '[{{"KEY": {d}, "label": "do\\g"}}, {C}]', 2),
    ("label without its closing quote", '[{{"KEY": {d}, "label": "dog}},\n{C}]', 2),
    ("NaN, then more", '[{{"KEY": [NaN, 2, 30, 40], "label": "dog"}}, {C}]', 1),
    ("single quotes", "[{{'KEY': {d}, 'label': 'dog'}}]", 1),
    ("a literal placeholder, then more", '[{{"KEY": <bbox>, "label": "dog"}}, {C}]', 1),
    ("valid JSON of the wrong type", '"a dog"', 0),
    ("nothing", "[]", 0),
]

PALIGEMMA = [
    ("well formed", "{D} ; {C}", 2),
    ("no blank before the label", "{d}dog ; {c}cat", 2),
    ("no blanks round the semicolon", "{D};{C}", 2),
    ("line break between", "{D}\n{C}", 2),
    ("semicolon at the end", "{D} ; {C} ;", 2),
    ("truncated in a box", "{D} ; {half}", 1),
    ("truncated before a label", "{D} ; {c}", 2),
    ("five tokens, then more", "<loc0001>{d} dog ; {C}", 1),
    ("three tokens, then more", "{half} dog ; {C}", 1),
    ("label with a comma", "{d} red, or blue ; {C}", 2),
    ("label with a full stop", "{d} No. 5 ; {C}", 2),
    ("label with quotes", '{d} a 12" screen ; {C}', 2),
    ("label in Chinese", "{d} 狗 ; {C}", 2),
    ("no label", "{d} ; {C}", 2),
    ("corners in the wrong order", "{swapped} dog ; {C}", 2),
    ("words before", "Here: {D} ; {C}", 2),
    ("end of sequence mark", "{D} ; {C}<eos>", 2),
    ("the same box to the token limit", "{D} ; " * 20 + "{half}", 20),
    ("words alone", "a dog", 0),
]

DEEPSEEK = [
    ("well formed", "{D}{C}", 2),
    ("blanks and line breaks", "{D}\n {C}\n", 2),
    ("one bracket", "<|ref|>dog<|/ref|><|det|>{d}<|/det|>{C}", 2),
    ("no blanks in the list", "<|ref|>dog<|/ref|><|det|>[[100,200,300,400]]<|/det|>", 1),
    ("two boxes of one label", "<|ref|>dog<|/ref|><|det|>[{d}, {c}]<|/det|>", 2),
    ("missing comma between boxes", "<|ref|>dog<|/ref|><|det|>[{d} {c}]<|/det|>", 2),
    ("truncated in a box", "{D}<|ref|>cat<|/ref|><|det|>[[500, 6", 1),
    ("truncated before the end mark", "{D}<|ref|>cat<|/ref|><|det|>[{c}]", 2),
    ("truncated after a label", "{D}<|ref|>cat<|/ref|>", 1),
    ("truncated in a label", "{D}<|ref|>ca", 1),
    ("label without an end", "<|ref|>dog<|det|>[{d}]<|/det|>{C}", 2),
    ("box without a label", "<|det|>[{d}]<|/det|>{C}", 2),
    ("box without an end, then more", "<|ref|>dog<|/ref|><|det|>[{d}]{C}", 2),
    ("repeated mark", "<|ref|>{D}{C}", 2),
    ("label without a box, then more", "<|ref|>bird<|/ref|>{C}", 1),
    ("three numbers, then more", "<|ref|>dog<|/ref|><|det|>[[1, 2, 3]]<|/det|>{C}", 1),
    ("five numbers, then more", "<|ref|>dog<|/ref|><|det|>[[1, 2, 3, 4, 5]]<|/det|>{C}", 1),
    ("words in a box, then more", "<|ref|>dog<|/ref|><|det|>[[here]]<|/det|>{C}", 1),
    ("NaN, then more", "<|ref|>dog<|/ref|><|det|>[[NaN, 2, 3, 4]]<|/det|>{C}", 1),
    ("empty list, then more", "<|ref|>dog<|/ref|><|det|>[]<|/det|>{C}", 1),
    ("corners in the wrong order", "<|ref|>dog<|/ref|><|det|>[{swapped}]<|/det|>", 1),
    ("words before and between", "I see {D} and {C}.", 2),
    ("end of sentence mark", "{D}{C}<|end▁of▁sentence|>", 2),
    ("the same box to the token limit", "{D}" * 20 + "<|ref|>do", 20),
    ("words alone", "a dog", 0),
]


def json_parts(key: str, y_first: bool) -> dict[str, str]:
    """The names in the texts of JSON, for one key and order of axes."""

    def numbers(box: tuple[int, ...]) -> str:
        x1, y1, x2, y2 = box
        return str([y1, x1, y2, x2] if y_first else [x1, y1, x2, y2])

    d, c, swapped = numbers(DOG), numbers(CAT), numbers(DOG[2:] + DOG[:2])
    return {
        "D": f'{{"{key}": {d}, "label": "dog"}}',
        "C": f'{{"{key}": {c}, "label": "cat"}}',
        "d": d,
        "c": c,
        "swapped": swapped,
    }


def paligemma_parts() -> dict[str, str]:
    """The names in the texts of PaliGemma."""

    def tokens(box: tuple[int, ...]) -> str:
        x1, y1, x2, y2 = box
        return "".join(f"<loc{number:04d}>" for number in (y1, x1, y2, x2))

    d, c = tokens(DOG), tokens(CAT)
    return {"D": f"{d} dog", "C": f"{c} cat", "d": d, "c": c, "half": c[:21], "swapped": tokens(DOG[2:] + DOG[:2])}


def deepseek_parts() -> dict[str, str]:
    """The names in the texts of DeepSeek-VL2."""
    d, c = str(list(DOG)), str(list(CAT))
    return {
        "D": f"<|ref|>dog<|/ref|><|det|>[{d}]<|/det|>",
        "C": f"<|ref|>cat<|/ref|><|det|>[{c}]<|/det|>",
        "d": d,
        "c": c,
        "swapped": str(list(DOG[2:] + DOG[:2])),
    }


def malformed(grammar: str) -> list[tuple[str, str, int]]:
    """(name, text, boxes that a person would read) for one grammar; empty for a grammar without a list. Every box is DOG or CAT."""
    if grammar in ("json_bbox_2d", "json_box_2d"):
        key = grammar.removeprefix("json_")
        parts = json_parts(key, y_first=grammar == "json_box_2d")
        return [(name, text.replace("KEY", key).format(**parts), count) for name, text, count in JSON]
    lists = {"paligemma_loc": (PALIGEMMA, paligemma_parts), "deepseek_ref_det": (DEEPSEEK, deepseek_parts)}
    texts, parts_of = lists.get(grammar, ([], dict))
    return [(name, text.format(**parts_of()), count) for name, text, count in texts]
