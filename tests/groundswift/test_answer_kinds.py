"""Kinds of answers that parsed wrongly with status `ok`, or were lost: each kind in every grammar that can meet it."""

import json
from pathlib import Path

import pytest
from answer_cases import bare, case, cat, dog, read, reads

from groundswift import Located, format_answer, parse, to_original_px

CASES = Path(__file__).resolve().parents[1] / "cases"
QWEN, GEMINI, GLM = "qwen3_vl", "gemini", "glm4v"
BOX, OTHER = [1, 2, 30, 40], [5, 6, 70, 80]
SQUARE = ((1, 2), (30, 2), (30, 40), (1, 40))


def loc(*numbers: int) -> str:
    return "".join(f"<loc_{number}>" for number in numbers)


def in_json(family: str, box: object, **fields: object) -> str:
    key = "box_2d" if family == GEMINI else "bbox_2d"
    return json.dumps([{key: box, "label": "dog"} | fields])


def swapped(family: str, value: object) -> object:
    """Number lists as the family writes them: y before x for Gemini."""
    if family != GEMINI:
        return value
    if value and isinstance(value[0], list):
        return [swapped(family, child) for child in value]
    return [value[at ^ 1] for at in range(len(value))]


@pytest.mark.parametrize(
    ("name", "located", "polygon"),
    [("label_keys", dog(), None), ("rex_polygon", Located("leaf", (10, 20, 50, 60)), ((10, 20), (30, 40), (50, 60)))],
)
def test_answers_that_people_sent(name, located, polygon):
    given = json.loads((CASES / name / "case.json").read_text())
    objects, status, reasons = read(given["text"], given["family"])
    assert (objects, status, reasons) == ([located], "ok", [])
    assert objects[0].polygon == polygon


@pytest.mark.parametrize("family", [QWEN, GEMINI, GLM])
@pytest.mark.parametrize(
    ("value", "objects"),
    [
        ([BOX, OTHER], [dog(), dog(*OTHER)]),
        ([[BOX], [OTHER]], [dog(), dog(*OTHER)]),
        ([[1, 2], [30, 40]], [dog()]),
        ([[[1, 2], [30, 40]], [[5, 6], [70, 80]]], [dog(), dog(*OTHER)]),
        ([[[BOX]]], [dog()]),
        ([[1, 2]], [Located("dog", None, (1, 2))]),
        ([BOX, [], OTHER], [dog(), dog(*OTHER)]),
    ],
    ids=str,
)
def test_lists_in_lists_under_the_key_of_a_box(family, value, objects):
    assert read(in_json(family, swapped(family, value)), family) == (objects, "ok", [])


@pytest.mark.parametrize("family", [QWEN, GEMINI, GLM])
@pytest.mark.parametrize("value", [[list(pair) for pair in SQUARE], [number for pair in SQUARE for number in pair]], ids=str)
def test_a_quadrangle_is_one_object_with_its_box(family, value):
    objects, status, reasons = read(in_json(family, swapped(family, value)), family)
    assert (objects, status, reasons) == ([dog(1, 2, 30, 40)], "ok", [])
    assert objects[0].polygon == SQUARE


@pytest.mark.parametrize(
    "value", [[1, 2, 3, 40, 5, 6, 70, 80], [[1, 2], [3, 4], [5, 6]], [BOX, [5, 6, 70]], [1, 2, [3, 4]], [1, 2, 3]], ids=str
)
def test_a_list_that_may_mean_two_things_is_counted(value):
    objects, status, reasons = read(in_json(QWEN, value), QWEN)
    assert set(reasons) == {"malformed-box"}
    assert (objects, status) == (([dog()], "ok") if value[0] == BOX else ([], "unreadable"))


@pytest.mark.parametrize("family", [QWEN, GEMINI, GLM])
@pytest.mark.parametrize("value", [None, [], [[]], [None], "", "None", "null"], ids=str)
def test_a_box_of_nothing_says_that_there_is_none(family, value):
    assert read(in_json(family, value), family) == ([], "empty", [])
    with_another = in_json(family, value)[:-1] + ", " + in_json(family, swapped(family, BOX))[1:]
    assert read(with_another, family) == ([dog()], "ok", [])


@pytest.mark.parametrize("text", ['{"objects": []}', '{"detections": [], "count": 0}', '{"dog": [], "cat": null}', "{'objects': []}"])
def test_an_empty_list_under_a_name_says_that_there_is_none(text):
    assert read(text, QWEN) == ([], "empty", [])


@pytest.mark.parametrize("family", [QWEN, GEMINI, GLM])
@pytest.mark.parametrize("key", ["category", "class", "name", "class_name", "object", "text_content", "Label", "description"])
def test_the_class_under_another_key(family, key):
    box = swapped(family, BOX)
    for text in (in_json(family, box).replace('"label"', f'"{key}"'), in_json(family, box, label=["dog"])):
        assert read(text, family) == ([dog()], "ok", [])


AT_BOX, AT_OTHER = '"bbox_2d": [1, 2, 30, 40]', '"bbox_2d": [5, 6, 70, 80]'
LABELS = [
    case("an unknown key", '[{"bbox_2d": [1, 2, 30, 40], "animal": "dog"}]', [bare(*BOX)], "ok", "unknown-label-key"),
    case("a label for each box", '{"bbox_2d": [[1, 2, 30, 40], [5, 6, 70, 80]], "label": ["dog", "cat"]}', [dog(), cat()], "ok"),
    case("two labels, one box", '{"bbox_2d": [1, 2, 30, 40], "label": ["dog", "cat"]}', [bare(*BOX)], "ok", "label-not-text"),
    case("labels as keys", '{"dog": [[1, 2, 30, 40]], "cat": [5, 6, 70, 80]}', [dog(), cat()], "ok", "label-as-key"),
    case("labels as keys, one without", '{"dog": [[1, 2, 30, 40]], "cat": []}', [dog()], "ok", "label-as-key"),
    case("a label as the key of an object", '{"dog": {"bbox_2d": [1, 2, 30, 40]}}', [dog()], "ok", "label-as-key"),
    case("words of JSON", f'[{{{AT_BOX}, "label": "dog", "occluded": true, "iscrowd": false}}]', [dog()], "ok"),
    case("a bracket is missing", '{"bbox_2d": [[1, 2, 30, 40], "label": "dog"}', [dog()], "ok", "unclosed-list"),
    case("a wrapper names no class", '{"objects": {"bbox_2d": [1, 2, 30, 40]}}', [bare(*BOX)], "ok"),
    case("a wrapper around a list", '{"detections": [{"bbox_2d": [1, 2, 30, 40], "category": "dog"}], "count": 1}', [dog()], "ok"),
    case("the key of a size names no class", '{"size": [1, 2, 30, 40]}', [], "unreadable", "other-key"),
    case("two boxes in one object", f'{{{AT_BOX}, {AT_OTHER}, "label": "dog"}}', [dog(), dog(*OTHER)], "ok", "repeated-key"),
    case("no brace between", f'[{{{AT_BOX}, "label": "dog", {AT_OTHER}, "label": "cat"}}]', [dog(), cat()], "ok", *["repeated-key"] * 2),
]


CORNERS = [
    case("x1 to y2", '{"x1": 1, "y1": 2, "x2": 30, "y2": 40, "label": "dog"}', [dog()], "ok", "named-corners"),
    case("xmin to ymax", '[{"ymin": 2, "xmin": 1, "ymax": 40, "xmax": 30, "label": "dog"}]', [dog()], "ok", "named-corners"),
    case("left to bottom", '{"left": 1, "top": 2, "right": 30, "bottom": 40, "name": "dog"}', [dog()], "ok", "named-corners"),
    case("under a key", '{"bbox": {"x1": 1, "y1": 2, "x2": 30, "y2": 40}, "label": "dog"}', [dog()], "ok", "named-corners"),
    case("x, y, width, height", '{"x": 1, "y": 2, "width": 30, "height": 40, "label": "dog"}', [], "unreadable", "other-key"),
    case("x, y, w, h under a key", '{"bbox": {"x": 1, "y": 2, "w": 30, "h": 40}, "label": "dog"}', [], "unreadable", "other-key"),
    case("left, top, width, height", '{"left": 1, "top": 2, "width": 30, "height": 40, "label": "dog"}', [], "unreadable", "other-key"),
    case("a key that may mean x, y, width, height", '{"bbox": [1, 2, 30, 40], "label": "dog"}', [], "unreadable", "other-key"),
]


test_corners_by_name_and_never_sizes = reads(qwen3_vl=CORNERS, gemini=CORNERS)


@pytest.mark.parametrize(
    "value", ['"[1, 2, 30, 40]"', '"1, 2, 30, 40"', '"1 2 30 40"', '"(1,2),(30,40)"', '["1", "2", "30", "40"]', '[["1", "2", "30", "40"]]']
)
def test_numbers_in_strings_are_read_with_a_reason(value):
    assert read(f'[{{"bbox_2d": {value}, "label": "dog"}}]', QWEN) == ([dog()], "ok", ["numbers-as-text"])


@pytest.mark.parametrize(
    "text",
    [
        "[{'bbox_2d': (1, 2, 30, 40), 'label': 'dog', 'occluded': True, 'score': None}]",
        "[{'bbox_2d': [(1, 2), (30, 40)], 'label': 'dog'},]",
        "{'label': 'dog', 'bbox_2d': ((1, 2), (30, 40))}",
        "```python\n[{'label': 'dog', 'bbox_2d': [[1, 2, 30, 40]]}]\n```",
    ],
)
def test_literals_of_python(text):
    assert read(text, QWEN) == ([dog()], "ok", ["single-quotes"])
    assert read(text, GLM) == ([dog()], "ok", [])


GLM_LIST = "[{'label': 'dog', 'bbox_2d': [1, 2, 30, 40]}, {'label': 'cat', 'bbox_2d': [5, 6, 70, 80]}]"
B, E = "<|begin_of_box|>", "<|end_of_box|>"
GLM_CASES = [
    case("the documented list", GLM_LIST, [dog(), cat()], "ok"),
    case("the documented list between the marks", f"Here: {B}{GLM_LIST}{E}", [dog(), cat()], "ok"),
    case("as JSON in a fence", "```json\n" + GLM_LIST.replace("'", '"') + "\n```", [dog(), cat()], "ok"),
    case("labels as keys between the marks", f"{B}{{'dog': [[1, 2, 30, 40]]}}{E}", [dog()], "ok", "label-as-key"),
    case("cut in the list", f"{B}{GLM_LIST[:60]}", [dog()], "truncated"),
    case("cut before the end mark", f"{B}{GLM_LIST}", [dog(), cat()], "truncated"),
    case("cut in the end mark", f"{B}{GLM_LIST}<|end_of", [dog(), cat()], "truncated"),
    case("nothing in the list", f"{B}[{{'label': 'dog', 'bbox_2d': []}}]{E}", [], "empty"),
    case("said before the mark and in it", f"{GLM_LIST}\n{B}{GLM_LIST}{E}", [dog(), cat()], "ok", "repeated-block"),
    case("one object said twice", f"{GLM_LIST[:44]}]{B}{GLM_LIST[:44]}]{E}", [dog()], "ok", "repeated-block"),
    case("objects without a list said twice", f"{GLM_LIST[1:44]}{B}{GLM_LIST[1:44]}{E}", [dog()], "ok", "repeated-block"),
    case("two lists", f"{GLM_LIST}\n{GLM_LIST}", [dog(), cat()], "ok", "repeated-block"),
    case("two lists that differ", f"{GLM_LIST[:44]}]\n{GLM_LIST}", [dog(), dog(), cat()], "ok"),
    case("marks twice", f"dog{B}[[1,2,30,40],[5,6,70,80]]{E}" * 2, [dog(), dog(*OTHER)], "ok", "repeated-block"),
    case("one mark twice", f"dog{B}[[1,2,30,40]]{E}" * 2, [dog()], "ok", "repeated-block"),
    case("three marks are no block said twice", f"dog{B}[[1,2,30,40]]{E}" * 3, [dog()] * 3, "ok"),
    case("corners as pairs", f"dog{B}[[1,2],[30,40]]{E}", [dog()], "ok"),
    case("corners as pairs in parentheses", f"dog{B}[(1,2),(30,40)]{E}", [dog()], "ok"),
]


def test_a_repeated_list_counts_once_in_json():
    one = in_json(QWEN, BOX)
    assert read(f"```json\n{one}\n```\n```json\n{one}\n```", QWEN) == ([dog()], "ok", ["repeated-block"])


NESTED = [  # family, text of two corners as pairs
    ("internvl", "<ref>dog</ref><box>[[1, 2], [30, 40]]</box>"),
    ("deepseek_vl2", "<|ref|>dog<|/ref|><|det|>[[1, 2], [30, 40]]<|/det|>"),
    ("minicpmv4_5", "<ref>dog</ref><box>[[1, 2], [30, 40]]</box>"),
    ("qwen_vl", "<ref>dog</ref><box>[[1, 2], [30, 40]]</box>"),
    ("cogvlm", "dog[[001,002],[030,040]]"),
    ("ferret", "dog [[1, 2], [30, 40]]"),
    ("swift_fallback", "dog[[1, 2], [30, 40]]"),
    ("internvl", "<ref>dog</ref><box>[[[1, 2], [30, 40]]]</box>"),
    ("glm4v", f"dog{B}[[[1,2],[30,40]]]{E}"),
]


@pytest.mark.parametrize(("family", "text"), NESTED)
def test_two_pairs_in_a_list_are_the_corners_of_a_box(family, text):
    assert read(text, family) == ([dog()], "ok", [])


def test_two_pairs_without_any_key_come_with_a_reason():
    assert read("[[1, 2], [30, 40]]", QWEN) == ([bare(*BOX)], "ok", ["nested-pairs"])
    assert read("[[1, 2], [30, 40], [5, 6]]", QWEN)[0] == [Located("", None, point) for point in ((1, 2), (30, 40), (5, 6))]


QUADRANGLES = [  # family, text of the corners of a square
    ("qwen_vl", "<ref>dog</ref><quad>(1,2),(30,2),(30,40),(1,40)</quad>"),
    ("qwen_vl", "<ref>dog</ref><box>(1,2),(30,2),(30,40),(1,40)</box>"),
    ("qwen2_vl", "<|object_ref_start|>dog<|object_ref_end|><|quad_start|>(1,2),(30,2),(30,40),(1,40)<|quad_end|>"),
    ("internvl", "<ref>dog</ref><box>[[1, 2, 30, 2, 30, 40, 1, 40]]</box>"),
    ("deepseek_vl2", "<|ref|>dog<|/ref|><|det|>[[1, 2], [30, 2], [30, 40], [1, 40]]<|/det|>"),
    ("glm4v", f"dog{B}[[1,2,30,2,30,40,1,40]]{E}"),
    ("ferret", "dog [1, 2, 30, 2, 30, 40, 1, 40]"),
    *(("florence2", text.format(loc(1, 2, 30, 2, 30, 40, 1, 40))) for text in ("dog{}", "</s><s>dog{}</s>", "dog<poly>{}</poly>")),
    ("rex_omni", "<|object_ref_start|>dog<|object_ref_end|><|box_start|><1><2><30><2><30><40><1><40><|box_end|>"),
]


@pytest.mark.parametrize(("family", "text"), QUADRANGLES)
def test_a_quadrangle_in_every_grammar(family, text):
    objects, status, reasons = read(text, family)
    assert (objects, status, reasons) == ([dog()], "ok", [])
    assert objects[0].polygon == SQUARE
    assert parse(format_answer(objects, family), family).objects == objects  # its box is what is written


LEFT, RIGHT, PART = loc(10, 20, 50, 22, 50, 60, 10, 58), loc(7, 5, 7, 1, 9, 1, 9, 5), loc(1, 2, 30, 4, 5, 40)
POLYGONS = [
    case("lines of text that lean", f"A 1{LEFT}B{RIGHT}", [Located("A 1", (10, 20, 50, 60)), Located("B", (7, 1, 9, 5))], "ok"),
    case("two boxes of a label are no quadrangle", f"dog{loc(*BOX, *OTHER)}", [dog(), dog(*OTHER)], "ok"),
    case("a polygon in marks, in two parts", f"dog<poly>{PART}<sep>{loc(5, 6, 70, 6, 5, 80)}</poly>", [dog(), dog(*OTHER)], "ok"),
    case("a polygon without marks", loc(1, 9, 9, 2, 30, 9, 9, 40, 3, 20), [bare(1, 2, 30, 40)], "ok"),
    case("a polygon that is cut", f"dog<poly>{PART}", [dog()], "truncated"),
]


REX = "<|object_ref_start|>dog<|object_ref_end|><|box_start|>{}<|box_end|>"
REX_POLYGONS = [
    case("two polygons", REX.format("<1><2><30><4><5><40>, <5><6><70><80>"), [dog(), dog(*OTHER)], "ok"),
    case("of several lengths", REX.format("<1><2><30><4><5><40>, <5><6><70><8><9><80>"), [dog(), dog(*OTHER)], "ok"),
    case("five numbers", REX.format("<1><2><30><4><5>"), [], "unreadable", "malformed-box"),
    case("outside the range", REX.format("<1><2><30><4><5><1000>"), [dog(1, 2, 30, 1000)], "ok", "number-out-of-range"),
]


test_what_single_families_write = reads(qwen3_vl=LABELS, glm4v=GLM_CASES, florence2=POLYGONS, rex_omni=REX_POLYGONS)


MOLMO_2 = [
    case("two points", '<points coords="1 1 073 160 2 455 300">dog</points>', [(7.3, 16), (45.5, 30)], "ok"),
    case("alt, and a tag that ends itself", '<point coords="1 1 073 160" alt="dog"/> is here.', [(7.3, 16)], "ok"),
    case("another image", '<points coords="1 1 073 160;2 1 100 200">dog</points>', [(7.3, 16)], "ok", "other-image"),
    case("moments of a video", '<tracks coords="0.5 1 100 200;1.0 1 110 210">dog</tracks>', [], "unreadable", *["other-image"] * 2),
    case("half a point", '<points coords="1 1 073 160 2 455">dog</points>', [(7.3, 16)], "ok", "malformed-box"),
    case("no points", '<points coords="">dog</points>', [], "unreadable", "malformed-box"),
    case("cut in a point", '<points alt="dog" coords="1 1 073 160 2 45', [(7.3, 16)], "truncated"),
    case("none", "There are none.", [], "empty"),
    case("not in the image", "This isn't in the image.", [], "empty"),
]


@pytest.mark.parametrize(("text", "points", "status", "reasons"), MOLMO_2)
def test_points_of_molmo_2_are_thousandths_whatever_the_space(text, points, status, reasons):
    objects, *rest = read(text, "molmo")
    assert [located.label for located in objects] == ["dog"] * len(points)
    assert [located.point for located in objects] == [pytest.approx(point) for point in points]
    assert rest == [status, reasons]


def test_points_of_molmo_2_lie_where_they_should():
    ((x, y),) = [located.point for located in parse('<points coords="1 1 250 500">dog</points>', "molmo").objects]
    assert to_original_px([[x, y, x, y]], "molmo", (400, 200))[0, :2].tolist() == [100, 100]


OPENED = ["[", "[{", "```json\n", "```", "```json\n[", "[["]


@pytest.mark.parametrize("text", OPENED)
@pytest.mark.parametrize("family", [QWEN, GEMINI, GLM, "qwen2_vl", "internvl", "cogvlm", "florence2", "molmo"])
def test_an_answer_that_only_begins_is_truncated(family, text):
    assert read(text, family) == ([], "truncated", [])


@pytest.mark.parametrize("family", [QWEN, "qwen2_vl", "molmo"])
def test_an_answer_of_blanks_is_truncated_where_it_is_known_to_be_cut(family):
    assert parse("\n \n", family).status == "empty"
    assert parse("\n \n", family, cut=True).status == "truncated"
    assert parse("There is a dog.", family, cut=True).status == "unreadable"
    assert parse(format_answer([Located("dog", None, (1, 2))], family), family, cut=True).status == "truncated"


AROUND = {"internvl": "<ref>dog</ref><box>{}</box>", "deepseek_vl2": "<|ref|>dog<|/ref|><|det|>{}<|/det|>", GLM: f"dog{B}{{}}{E}"}


@pytest.mark.parametrize("family", AROUND)
@pytest.mark.parametrize("pairs", ["[[[1, 2], [30, 40]], [[5, 6], [70, 80]]]", "[[(1,2),(30,40)],[(5,6),(70,80)]]"])
def test_several_boxes_as_pairs_in_a_list_of_lists(family, pairs):
    assert read(AROUND[family].format(pairs), family) == ([dog(), dog(*OTHER)], "ok", [])


@pytest.mark.parametrize("none", ["[]", "[[]]", " [] "])
@pytest.mark.parametrize("family", ["deepseek_vl2", "internvl"])
def test_an_empty_list_between_the_marks_says_that_there_is_none(family, none):
    assert read(AROUND[family].format(none), family) == ([], "empty", [])


@pytest.mark.parametrize("label", ["dog", ""])
@pytest.mark.parametrize("thinking", ["", "<think>a cat?</think>", "</think>\n"])
@pytest.mark.parametrize("end", ["</answer>", ""])
def test_the_marks_of_an_answer_are_not_a_label(label, thinking, end):
    assert read(f"{thinking}<answer>{label}<|begin_of_box|>[[1,2,30,40]]<|end_of_box|>{end}", GLM) == (
        [Located(label, tuple(BOX))],
        "ok",
        [],
    )
