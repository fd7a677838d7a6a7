"""Answers as OCR models and pointing models of 2026 write them: the literal text of each, its own other forms, and what is cut off."""

import pytest

from groundswift import Located, format_answer, parse

RUN = "<|LOC_102|><|LOC_40|><|LOC_318|><|LOC_40|><|LOC_318|><|LOC_96|><|LOC_102|><|LOC_96|>"
TURNED = "<|LOC_100|><|LOC_200|><|LOC_500|><|LOC_190|><|LOC_505|><|LOC_450|><|LOC_95|><|LOC_460|>"
REX = "<|object_ref_start|>a<|object_ref_end|><|box_start|><1><2><3><4>,<5><6><7><8><|box_end|>"
REX += ", <|object_ref_start|>b<|object_ref_end|><|box_start|>None<|box_end|>"
EXIT, GATE = Located("EXIT", (102, 40, 318, 96)), Located("Gate 7", (402, 40, 590, 95))
LITERAL = {  # family -> what it writes for some objects
    "dots_ocr": ('[{"bbox": [102, 40, 318, 96], "category": "EXIT"}, {"bbox": [402, 40, 590, 95], "category": "Gate 7"}]', [EXIT, GATE]),
    "paddleocr_vl": (f"EXIT{RUN}\nEXIT{RUN}", [EXIT, EXIT]),
    "hunyuan_ocr": ("EXIT(102,40),(318,96)Gate 7(402,40),(590,95)", [EXIT, GATE]),
    "molmo2": (
        '<points coords="1 1 073 160 2 455 1000">cat</points>',
        [Located("cat", None, (73, 160)), Located("cat", None, (455, 1000))],
    ),
    "locate_anything": (
        "<ref>EXIT</ref><box><102><40><318><96></box><ref>cat</ref><box><5><6></box>",
        [EXIT, Located("cat", None, (5, 6))],
    ),
    "youtu_vl": ("<ref>EXIT</ref><box><x_102><y_40><x_318><y_96></box>", [EXIT]),
}


@pytest.mark.parametrize("family", LITERAL)
def test_the_text_of_a_family_is_literally_its_own(family):
    text, objects = LITERAL[family]
    assert format_answer(objects, family) == text
    assert (parse(text, family).objects, parse(text, family).status) == (objects, "ok")


OTHER_FORMS = {
    "marks of PaddleOCR-VL": (
        "paddleocr_vl",
        f"<|TEXT_START|>EXIT<|TEXT_END|><|LOC_BEGIN|>{RUN}<|LOC_END|><|TEXT_START|>Gate 7<|TEXT_END|><|LOC_BEGIN|>{TURNED}<|LOC_END|>",
        [("EXIT", (102, 40, 318, 96)), ("Gate 7", (95, 190, 505, 460))],
    ),
    "blanks in HunyuanOCR's pairs": ("hunyuan_ocr", "EXIT (102, 40), (318, 96)", [("EXIT", (102, 40, 318, 96))]),
    "parentheses in the text": (
        "hunyuan_ocr",
        "ATLANTA (AP)(1,2),(3,4)金额(小写)(5,6),(7,8)",
        [("ATLANTA (AP)", (1, 2, 3, 4)), ("金额(小写)", (5, 6, 7, 8))],
    ),
    "JSON of HunyuanOCR-1.5": ("hunyuan_ocr", '[{"box": [1, 2, 3, 4], "text": "Hi"}]', [("Hi", (1, 2, 3, 4))]),
    "text of a region": ("dots_ocr", '[{"bbox": [1, 2, 3, 4], "category": "Title", "text": "A: [b]"}]', [("Title", (1, 2, 3, 4))]),
    "fractions of Youtu-VL": ("youtu_vl", "<ref>a</ref><box><x_1.5><y_2><x_30><y_40></box>", [("a", (1.5, 2, 30, 40))]),
    "several boxes of a label": (
        "locate_anything",
        "<ref>a</ref><box><1><2><3><4></box><box><5><6><7><8></box>",
        [("a", (1, 2, 3, 4)), ("a", (5, 6, 7, 8))],
    ),
    "Rex tokens of GroundAnything": ("ground_anything", REX, [("a", (1, 2, 3, 4)), ("a", (5, 6, 7, 8))]),
}


@pytest.mark.parametrize("case", OTHER_FORMS)
def test_other_forms_are_read(case):
    family, text, expected = OTHER_FORMS[case]
    answer = parse(text, family)
    assert ([(one.label, one.box) for one in answer.objects], answer.status) == (expected, "ok")


def test_a_turned_quadrangle_keeps_its_corners():
    (one,) = parse(f"EXIT{TURNED}", "paddleocr_vl").objects
    assert one.polygon == ((100, 200), (500, 190), (505, 450), (95, 460))


@pytest.mark.parametrize(
    "text", ["<ref>cat</ref><box>none</box>", "<box>None</box>", "<ref>cat</ref><box>none</box><ref>dog</ref><box>none</box>"]
)
def test_a_class_that_is_absent_is_an_empty_answer(text):
    assert parse(text, "locate_anything").status == "empty"
    assert [one.label for one in parse(f"{text}<ref>a</ref><box><1><2><3><4></box>", "locate_anything").objects] == ["a"]


@pytest.mark.parametrize(
    ("family", "cut"),
    [
        ("paddleocr_vl", f"EXIT{RUN}\nGate<|LOC_102|><|LOC_40|>"),
        ("paddleocr_vl", f"EXIT{RUN}\nGate<|LO"),
        ("hunyuan_ocr", "EXIT(102,40),(318,96)Gate(402,40),(5"),
        ("hunyuan_ocr", "EXIT(102,40),(318,96)Gate(402"),
        ("locate_anything", "<ref>EXIT</ref><box><102><40><318><96></box><ref>Gate</ref><box><4"),
        ("youtu_vl", "<ref>EXIT</ref><box><x_102><y_40><x_318><y_96></box><ref>Gate</ref><box><x_4><y"),
        ("dots_ocr", '[{"bbox": [102, 40, 318, 96], "category": "EXIT"}, {"bbox": [402, 4'),
    ],
)
def test_a_cut_answer_keeps_its_first_object(family, cut):
    answer = parse(cut, family)
    assert (answer.objects, answer.status) == ([EXIT], "truncated")


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("paddleocr_vl", "EXIT<|LOC_102|><|LOC_40|><|LOC_318|><|LOC_40|>\nand no more"),
        ("hunyuan_ocr", "EXIT(1,2),(3,4),(5,6) is it"),
        ("locate_anything", "<ref>EXIT</ref><box><1><2><3></box>"),
        ("youtu_vl", "<ref>EXIT</ref><box><x_1><y_2><x_3></box>"),
    ],
)
def test_other_counts_of_numbers_are_no_box(family, text):
    assert (parse(text, family).objects, parse(text, family).reasons) == ([], ["malformed-box"])
