"""What is peculiar to single grammars of marks: several boxes in one mark, cells of a grid, what each family writes to the letter."""

import pytest
from answer_cases import case, read, reads

from groundswift import Located, format_answer, parse
from groundswift.errors import GroundswiftError


def dog(*numbers: float) -> Located:
    return Located("dog", numbers or (1, 2, 30, 31))


def cat(*numbers: float) -> Located:
    return Located("cat", numbers or (5, 6, 7, 8))


FIRST, LAST = "<patch_index_0065>", "<patch_index_1022>"
DOG = f"<phrase>dog</phrase><object>{FIRST}{LAST}</object>"
CAT = "<phrase>cat</phrase><object><patch_index_0197><patch_index_0263></object>"
TWO = f"<object>{FIRST}{LAST}</delimiter_of_multi_objects/><patch_index_0197><patch_index_0263></object>"
KOSMOS_CASES = [
    case("well formed", DOG + CAT, [dog(), cat()], "ok"),
    case("in a sentence", f"<grounding>An image of{DOG.replace('dog', ' dog')} and{CAT}.", [dog(), cat()], "ok"),
    case("blanks of the processor", "<phrase> dog</phrase><object> <patch_index_0065> <patch_index_1022> </object>", [dog()], "ok"),
    case("two boxes of a phrase", "<phrase>dog</phrase>" + TWO, [dog(), dog(5, 6, 7, 8)], "ok"),
    case("no phrase", TWO, [Located("", (1, 2, 30, 31)), Located("", (5, 6, 7, 8))], "ok"),
    case("corners in the wrong order", f"<phrase>dog</phrase><object>{LAST}{FIRST}</object>", [dog()], "ok", "box-inverted"),
    case("outside the grid", DOG.replace("1022", "1024"), [dog(0, 2, 1, 32)], "ok", "box-inverted", "number-out-of-range"),
    case("one index", "<phrase>dog</phrase><object><patch_index_0065></object>" + CAT, [cat()], "ok", "malformed-box"),
    case("three indices", DOG.replace("</object>", "<patch_index_0001></object>") + CAT, [cat()], "ok", "malformed-box"),
    case("a fraction", DOG.replace("1022", "10.5") + CAT, [cat()], "ok", "malformed-box"),
    case("a word", DOG.replace("1022", "last") + CAT, [cat()], "ok", "malformed-box"),
    case("start of a box without an end", DOG + "<phrase>cat</phrase><object><patch_index_0197><patch_index_02", [dog()], "truncated"),
    case("start of a box without an end, then more", DOG[: -len("</object>")] + CAT, [dog(), cat()], "ok", "unclosed-box"),
    case("doubled start", DOG.replace("<object>", "<object><object>"), [dog()], "ok", "doubled-mark"),
    case("cut in the second box", "<phrase>dog</phrase>" + TWO[:-30], [dog()], "truncated"),
    case("the same box to the token limit", DOG * 50 + DOG[:40], [dog()] * 50, "truncated"),
    case("words alone", "A dog.", [], "unreadable", "no-box"),
]


test_cells_of_kosmos = reads(kosmos2=KOSMOS_CASES)


REX = "<|object_ref_start|>{}<|object_ref_end|><|box_start|>{}<|box_end|>"
SEVERAL = [
    ("internvl", "<ref>dog</ref><box>[[1, 2, 30, 31], [5, 6, 7, 8]]</box>"),
    ("internvl", "<ref>dog</ref><box>[1, 2, 30, 31] [5, 6, 7, 8]</box>"),
    ("deepseek_vl2", "<|ref|>dog<|/ref|><|det|>[[1, 2, 30, 31], [5, 6, 7, 8]]<|/det|>"),
    ("rex_omni", REX.format("dog", "<1><2><30><31>, <5><6><7><8>")),
    ("rex_omni", REX.format("dog", "<1><2><30><31>,<5><6><7><8>")),
    ("kosmos2", "<phrase>dog</phrase>" + TWO),
]


@pytest.mark.parametrize(("family", "text"), SEVERAL)
def test_several_boxes_in_one_mark(family, text):
    answer = parse(text, family)
    assert (answer.objects, answer.status, answer.reasons) == ([dog(), dog(5, 6, 7, 8)], "ok", [])
    (start, middle), (follows, end) = (located.span for located in answer.objects)
    assert (start, end) == (0, len(text))
    assert middle <= follows


@pytest.mark.parametrize(("family", "text"), SEVERAL)
def test_a_mark_that_is_cut_keeps_the_boxes_before_the_cut(family, text):
    first, second = (located.span for located in parse(text, family).objects)
    for cut in range(first[1] + 1, second[0] + 4):
        assert read(text[:cut], family) == ([dog()], "truncated", [])


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("internvl", "<ref>dog</ref><box>[[1, 2, 30, 31]]</box><ref>dog</ref><box>[[5, 6, 7, 8]]</box><ref>cat</ref><box>[[5, 6]]</box>"),
        ("deepseek_vl2", "<|ref|>dog<|/ref|><|det|>[[1, 2, 30, 31], [5, 6, 7, 8]]<|/det|><|ref|>cat<|/ref|><|det|>[[5, 6]]<|/det|>"),
        ("minicpmv4_5", "<ref>dog</ref><box>1 2 30 31</box><ref>dog</ref><box>5 6 7 8</box><ref>cat</ref><box>5 6</box>"),
        ("rex_omni", REX.format("dog", "<1><2><30><31>, <5><6><7><8>") + REX.format("cat", "<5><6>")),
    ],
)
def test_what_each_family_writes_to_the_letter(family, text):
    assert format_answer([dog(), dog(5, 6, 7, 8), Located("cat", None, (5, 6))], family) == text


def test_what_kosmos_writes_to_the_letter():
    assert format_answer([dog(), dog(5, 6, 7, 8), cat()], "kosmos2") == "<phrase>dog</phrase>" + TWO + CAT
    with pytest.raises(GroundswiftError, match="expected no leading or trailing blanks"):
        format_answer([Located(" dog", (1, 2, 3, 4))], "kosmos2")


@pytest.mark.parametrize(
    ("text", "objects", "status"),
    [
        pytest.param(REX.format("cat", "None"), [], "empty", id="one absent class"),
        pytest.param(REX.format("cat", "None") + ", " + REX.format("dog", "None"), [], "empty", id="two absent classes"),
        pytest.param(REX.format("cat", "None") + ", " + REX.format("dog", "<1><2><30><31>"), [dog()], "ok", id="one absent, one there"),
    ],
)
def test_an_absent_class_gives_no_warning(text, objects, status):
    assert read(text, "rex_omni") == (objects, status, [])
