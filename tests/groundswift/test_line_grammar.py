"""Boxes whose label has no marks: whose label a text is, where a box ends, and what is left of a text that was cut."""

import pytest
from answer_cases import bare, case, cat, dog, reads

from groundswift import Located, format_answer, parse
from groundswift.errors import GroundswiftError


def point(label: str, *numbers: float) -> Located:
    return Located(label, None, numbers)


CAT_BOX = (5, 6, 70, 80)
BRACKET_CASES = [
    case("objects in lines", "dog[[1,2,30,40]]\ncat[[5,6,70,80]]", [dog(), cat()], "ok"),
    case("in a sentence", "A dog[[1,2,30,40]], cat[[5,6,70,80]].", [Located("A dog", (1, 2, 30, 40)), cat()], "ok"),
    case("two boxes joined", "dog[[1,2,30,40;5,6,70,80]]", [dog(), dog(*CAT_BOX)], "ok"),
    case("a list of two boxes", "dog [[1, 2, 30, 40], [5, 6, 70, 80]]", [dog(), dog(*CAT_BOX)], "ok"),
    case("missing comma between the boxes of a list", "dog [[1, 2, 30, 40] [5, 6, 70, 80]]", [dog(), dog(*CAT_BOX)], "ok"),
    case("two brackets after one label", "dog[1,2,30,40], [5,6,70,80]", [dog(), dog(*CAT_BOX)], "ok"),
    case("two brackets, words between", "dog[1,2,30,40] and cat[5,6,70,80]", [dog(), Located("and cat", (5, 6, 70, 80))], "ok"),
    case("a line without a label has none", "dog[1,2,30,40]\n[5,6,70,80]", [dog(), bare(5, 6, 70, 80)], "ok"),
    case("colon after the label", "dog: [1, 2, 30, 40]\ncat：[5, 6, 70, 80]", [dog(), cat()], "ok"),
    case("parenthesis before the bracket", "dog ([1, 2, 30, 40]), cat ([5, 6, 70, 80])", [dog(), cat()], "ok"),
    case("corners in parentheses", "dog[(1,2),(30,40)]", [dog()], "ok"),
    case("corners without a comma", "dog[(1,2)(30,40)]", [dog()], "ok"),
    case("spaces after commas and brackets", "dog [ 1 , 2 , 30 , 40 ]", [dog()], "ok"),
    case("spaces between brackets", "dog [ [1, 2, 30, 40] ]\ncat[5,6,70,80]", [dog(), cat()], "ok"),
    case("numbers without commas", "dog[1 2 30 40]", [dog()], "ok"),
    case("a point", "dog[[1,2]]", [point("dog", 1, 2)], "ok"),
    case("two pairs in a list are the corners of a box", "dog[[1,2],[30,40]]", [dog()], "ok"),
    case("two points", "dog[1,2],[3,4]", [point("dog", 1, 2), point("dog", 3, 4)], "ok"),
    case("three points in one box", "dog[(1,2),(3,4),(5,6)]\ncat[5,6,70,80]", [cat()], "ok", "malformed-box"),
    case("three numbers", "dog[1,2,3]\ncat[5,6,70,80]", [cat()], "ok", "malformed-box"),
    case("three numbers before four", "dog[[1,2,3],[5,6,70,80]]", [dog(*CAT_BOX)], "ok", "malformed-box"),
    case("missing number", "dog[1,,30,40]", [], "unreadable", "malformed-box"),
    case("one number is a reference", "A dog [1] and a cat[5,6,70,80]", [Located("A dog [1] and a cat", (5, 6, 70, 80))], "ok"),
    case("stray closing bracket", "dog[[1,2,30,40]]]\ncat[5,6,70,80]", [dog(), cat()], "ok", "stray-bracket"),
    case("closing bracket without its opening one", "dog 1,2,30,40]]", [], "unreadable", "no-box"),
    case("opening bracket without its closing one", "dog[1,2,30,40\ncat[5,6,70,80]", [dog(), cat()], "ok", "unclosed-box"),
    case("one of two closing brackets", "dog[[1,2,30,40]\ncat[5,6,70,80]", [dog(), cat()], "ok", "unclosed-box"),
    case(
        "no closing bracket, then a box", "dog[1,2,30,40 [5,6,70,80]\ncat[5,6,70,80]", [dog(), dog(*CAT_BOX), cat()], "ok", "unclosed-box"
    ),
    case("doubled opening bracket", "dog[[[1,2,30,40]]", [dog()], "truncated"),
    case("cut after an opening bracket", "dog[1,2,30,40]\ncat[", [dog()], "truncated"),
    case("cut in the first number", "dog[1,2,30,40]\ncat[5", [dog()], "truncated"),
    case("cut in the last number", "dog[1,2,30,40]\ncat[5,6,70,8", [dog()], "truncated"),
    case("cut between two closing brackets", "dog[[1,2,30,40]", [dog()], "truncated"),
    case("cut in a list", "dog[[1,2,30,40],[5,6,7", [dog()], "truncated"),
    case("cut in joined boxes", "dog[[1,2,30,40;5,6,7", [dog()], "truncated"),
    case("cut in a label", "dog[[1,2,30,40]]\nca", [dog()], "ok"),
    case("the answer of another grammar", '[{"bbox_2d": [1, 2, 30, 40], "label": "dog"}]', [dog()], "ok", "json-objects"),
    case("nothing in the brackets", "dog[]\ncat[5,6,70,80]", [cat()], "ok"),
    case("a line break in the box", "dog[1,2,\n30,40]", [dog()], "ok"),
    case("line breaks in a list", "dog[[1,2,30,40],\n [5,6,70,80]]", [dog(), dog(*CAT_BOX)], "ok"),
]


test_in_brackets = reads(cogvlm=BRACKET_CASES, ferret=BRACKET_CASES, swift_fallback=BRACKET_CASES)


B, E = "<|begin_of_box|>", "<|end_of_box|>"
GLM_CASES = [
    case("brackets []", f"dog{B}[1,2,30,40]{E}", [dog()], "ok"),
    case("brackets [[]]", f"dog{B}[[1,2,30,40]]{E}", [dog()], "ok"),
    case("brackets ()", f"dog{B}(1,2,30,40){E}", [dog()], "ok"),
    case("brackets <>", f"dog{B}<1,2,30,40>{E}", [dog()], "ok"),
    case("no brackets", f"dog{B}1, 2, 30, 40{E}", [dog()], "ok"),
    case("a list", f"dog{B}[[1,2,30,40], [5,6,70,80]]{E}", [dog(), dog(*CAT_BOX)], "ok"),
    case("a list in parentheses", f"dog{B}(1,2,30,40),(5,6,70,80){E}", [dog(), dog(*CAT_BOX)], "ok"),
    case("words after the marks", f"dog{B}[[1,2,30,40]]{E} in the middle.", [dog()], "ok"),
    case("marks around words", f"{B}yes{E}", [], "unreadable", "no-box"),
    case("marks around a number", f"{B}3{E}", [], "unreadable", "malformed-box"),
    case("marks around words without an end", f"{B}ye", [], "truncated"),
    case("line breaks in a list", f"dog{B}[[1,2,30,40],\n [5,6,70,80]]{E}", [dog(), dog(*CAT_BOX)], "ok"),
    case("cut in a list with line breaks", f"dog{B}[[1,2,30,40],\n [5,6,7", [dog()], "truncated"),
    case("label after a stray end", f"dog{B}[[1,2,30,40]]{E}{E} cat{B}[[5,6,70,80]]{E}", [dog(), cat()], "ok", "stray-mark"),
    case("marks around None", f"{B}None{E}", [], "empty"),
    case("marks around an empty list", f"{B}[]{E}", [], "empty"),
    case("marks around nothing, then a box", f"cat{B}[]{E}\ndog{B}[[1,2,30,40]]{E}", [dog()], "ok"),
    case("box without marks", "dog[[1,2,30,40]]", [], "unreadable", "no-box"),
    case("doubled begin", f"dog{B}{B}[[1,2,30,40]]{E}", [dog()], "ok", "doubled-mark"),
    case("doubled end", f"dog{B}[[1,2,30,40]]{E}{E}", [dog()], "ok", "stray-mark"),
    case("end on the wrong side", f"dog{E}[[1,2,30,40]]", [], "unreadable", "stray-mark"),
    case("begin without an end, then more", f"dog{B}[[1,2,30,40]]\ncat{B}[[5,6,70,80]]{E}", [dog(), cat()], "ok", "unclosed-box"),
    case("three points", f"dog{B}[1,2,3,4,5,6]{E}\ncat{B}[[5,6,70,80]]{E}", [cat()], "ok", "malformed-box"),
    case("cut before the end mark", f"dog{B}[[1,2,30,40]]", [dog()], "truncated"),
    case("cut in the end mark", f"dog{B}[[1,2,30,40]]<|end_of", [dog()], "truncated"),
    case("cut in a begin mark", f"dog{B}[[1,2,30,40]]{E}\ncat<|beg", [dog()], "truncated"),
    case("cut in a number", f"dog{B}[[1,2,30,40]]{E}\ncat{B}[[5,6,70,8", [dog()], "truncated"),
    case("cut in a list", f"dog{B}[[1,2,30,40],[5,6,7", [dog()], "truncated"),
]


DOG, CAT = "<loc_1><loc_2><loc_30><loc_40>", "<loc_5><loc_6><loc_70><loc_80>"
FLORENCE_BOXES = DOG + CAT
FLORENCE_CASES = [
    case("one after the other", f"dog{DOG}cat{CAT}", [dog(), cat()], "ok"),
    case("in lines", f"dog{DOG}\ncat{CAT}", [dog(), cat()], "ok"),
    case("two boxes of a label", f"dog{DOG}{CAT}", [dog(), dog(*CAT_BOX)], "ok"),
    case("no label", f"{DOG}", [bare(1, 2, 30, 40)], "ok"),
    case("a point", "dog<loc_1><loc_2>", [point("dog", 1, 2)], "ok"),
    case("three points in one box", f"dog{DOG}<loc_5><loc_6>cat{CAT}", [dog(), point("dog", 5, 6), cat()], "ok"),
    case("three numbers", f"dog<loc_1><loc_2><loc_3>cat{CAT}", [cat()], "ok", "malformed-box"),
    case("doubled start of a token", f"dog<loc_<loc_1><loc_2><loc_30><loc_40>cat{CAT}", [Located("dog<loc_", (1, 2, 30, 40)), cat()], "ok"),
    case("cut in a token", f"dog{DOG}cat<loc_5><loc_6><loc_70><loc_8", [dog()], "truncated"),
    case("cut in the second box of a label", f"dog{DOG}<loc_5><loc_6><loc_7", [dog()], "truncated"),
    case("cut after three tokens", f"dog{DOG}cat<loc_5><loc_6><loc_70>", [dog()], "truncated"),
    case("cut in the name of a token", f"dog{DOG}cat<lo", [dog()], "truncated"),
    case("cut in the name of a token after a point", "dog<loc_1><loc_2>\n<lo", [point("dog", 1, 2)], "truncated"),
    case("cut in the name of the third token", "dog<loc_1><loc_2><lo", [], "truncated"),
]


DOG, CAT = "<loc0002><loc0001><loc0040><loc0030>", "<loc0006><loc0005><loc0080><loc0070>"
PALIGEMMA_CASES = [
    case("one after the other", f"{DOG} dog ; {CAT} cat", [dog(), cat()], "ok"),
    case("semicolons without blanks", f"{DOG} dog;{CAT} cat;", [dog(), cat()], "ok"),
    case("no semicolon", f"{DOG} dog {CAT} cat", [dog(), cat()], "ok"),
    case("in lines", f"{DOG} dog\n{CAT} cat\nThat is all.", [dog(), cat()], "ok"),
    case("no label", f"{DOG} ; {CAT} cat", [bare(1, 2, 30, 40), cat()], "ok"),
    case("two boxes before a label", f"{DOG}{CAT} cat", [bare(1, 2, 30, 40), cat()], "ok"),
    case("a label without a box", f"{DOG} dog ; cat", [dog()], "ok", "label-without-box"),
    case("a point", f"<loc0002><loc0001> dog ; {CAT} cat", [cat()], "ok", "malformed-box"),
    case("three points in one box", f"{DOG}<loc0005><loc0006> dog ; {CAT} cat", [dog(), cat()], "ok", "malformed-box"),
    case("segment tokens after the box", f"{DOG}<seg012><seg127> dog", [dog()], "ok"),
    case("a box without its label at the end", f"{DOG} dog ; {CAT}", [dog(), bare(5, 6, 70, 80)], "ok"),
    case("cut in a token", f"{DOG} dog ; <loc0006><loc0005><loc00", [dog()], "truncated"),
    case("cut after two tokens", f"{DOG} dog ; <loc0006><loc0005>", [dog()], "truncated"),
    case("cut in the name of a token", f"{DOG} dog ; <lo", [dog()], "truncated"),
]


test_between_marks_and_in_tokens = reads(glm4v=GLM_CASES, florence2=FLORENCE_CASES, paligemma=PALIGEMMA_CASES)


@pytest.mark.parametrize("label", ["a\nb", " dog", "dog ", "dog:", "dog[1,2,3,4]", "a [1, 2", "</think>", "<think>"])
@pytest.mark.parametrize("family", ["cogvlm", "llava", "ferret", "swift_fallback"])
def test_a_label_that_would_not_be_read_as_it_is_is_refused(family, label):
    with pytest.raises(GroundswiftError, match="cannot be written in .*; expected one line"):
        format_answer([Located(label, (0, 0, 1, 1))], family)


THINGS = [dog(), dog(*CAT_BOX), cat(1, 1, 2, 2), bare(3, 3, 4, 4)]


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("glm4v", f"dog{B}[[1,2,30,40],[5,6,70,80]]{E}\ncat{B}[[1,1,2,2]]{E}\n{B}[[3,3,4,4]]{E}"),
        ("cogvlm", "dog[[001,002,030,040;005,006,070,080]]\ncat[[001,001,002,002]]\n[[003,003,004,004]]"),
        ("ferret", "dog [1, 2, 30, 40]\ndog [5, 6, 70, 80]\ncat [1, 1, 2, 2]\n[3, 3, 4, 4]"),
        ("swift_fallback", "dog[(1,2),(30,40)]\ndog[(5,6),(70,80)]\ncat[(1,1),(2,2)]\n[(3,3),(4,4)]"),
        ("florence2", f"dog{FLORENCE_BOXES}cat<loc_1><loc_1><loc_2><loc_2>\n<loc_3><loc_3><loc_4><loc_4>"),
        ("paligemma", f"{DOG} dog ; {CAT} dog ; <loc0001><loc0001><loc0002><loc0002> cat ; <loc0003><loc0003><loc0004><loc0004>"),
    ],
)
def test_what_each_family_writes_to_the_letter(family, text):
    assert format_answer(THINGS, family) == text


def test_ratios_are_written_with_their_decimals():
    things = [Located("dog", (0, 0.25, 0.5, 1)), Located("dog", None, (0.125, 0.5))]
    assert format_answer(things, "shikra") == "dog[0.000,0.250,0.500,1.000]\ndog[0.125,0.500]"
    assert format_answer(things, "llava") == "dog[0.00, 0.25, 0.50, 1.00]\ndog[0.125, 0.50]"


@pytest.mark.parametrize("before", ["</s><s>", "<s>", "</s> <s> <s>", "<pad>"])
def test_tokens_around_a_whole_answer_are_not_a_label(before):
    answer = parse(f"{before}dog<loc_1><loc_2><loc_3><loc_4></s>", "florence2")
    assert [(located.label, located.box) for located in answer.objects] == [("dog", (1, 2, 3, 4))]
    assert (answer.status, answer.reasons) == ("ok", [])
