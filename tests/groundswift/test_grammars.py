"""What holds for the box text of every family: it round-trips, no text breaks it, a cut answer keeps its whole objects."""

import math
import pickle

import pytest
from answer_cases import read
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fuzz_target import FAMILIES, STATUSES, check_answer
from groundswift import Located, families, format_answer, parse
from groundswift.errors import GroundswiftError
from groundswift.family_docs import example as example_of
from groundswift.grammars.registry import GRAMMARS
from groundswift.grammars.tokens import TokenGrammar
from groundswift.spaces import space_row

WHOLE_NUMBERS = {"florence_loc", "paligemma_loc", "rex_omni_tokens", "kosmos_patches"}  # their numbers are tokens
WHOLE_NUMBERS |= {"locate_tokens", "paddleocr_corners"}
MARKED = [name for name in FAMILIES if isinstance(GRAMMARS[families()[name].grammar], TokenGrammar)]
for_each_family = pytest.mark.parametrize("family", FAMILIES)

AWKWARD_LABELS = ["", "dog", " dog ", 'a 12" screen', "it's", "red, or blue", "traffic\nlight", "狗", "\\", "\\n", 'quote\\"', "🐕‍🦺"]
AWKWARD_LABELS += ["</", "<|box", "[1, 2, 3, 4]", '{"bbox_2d": [1, 2, 3, 4]}', "(1,2),(3,4)", "None", "```", "<think>", "<bbox>"]
AWKWARD_LABELS += ["\x00\x7f\u2028"]
EVERYDAY_LABELS = ["dog", "a big dog", "red, or blue", 'a 12" screen', "it's", "狗", "No. 5", "salt & pepper", "T-shirt (red)", "x-ray [1]"]


def limit(family: str) -> float:
    return space_row(families()[family].space).largest or 6000


def thing(family: str, label: str, *numbers: int) -> Located:
    """A box of 4 whole numbers, or its first corner where the family has no boxes; as hundredths where its space ends at 1."""
    numbers = tuple(number / 100 for number in numbers) if limit(family) == 1 else numbers
    return Located(label, numbers) if families()[family].boxes else Located(label, None, numbers[:2])


def written(objects: list[Located], family: str) -> str | None:
    """The text, or None where it is refused for the sake of a label."""
    try:
        return format_answer(objects, family)
    except GroundswiftError as error:
        if not str(error).startswith("label "):
            raise
        return None


def labels(family: str) -> st.SearchStrategy[str]:
    anything = st.one_of(st.sampled_from(AWKWARD_LABELS), st.text(max_size=12))
    return anything.filter(lambda label: written([thing(family, label, 1, 2, 3, 4)], family) is not None)


def coordinates(family: str) -> st.SearchStrategy[float]:
    whole = st.integers(0, int(limit(family)))
    if families()[family].grammar in WHOLE_NUMBERS:
        return whole
    return st.one_of(whole, st.floats(0, limit(family), allow_nan=False, allow_subnormal=False))


def things(family: str, **sizes: int) -> st.SearchStrategy[list[Located]]:
    """Boxes and points that a family can write."""
    row, pair = families()[family], st.tuples(coordinates(family), coordinates(family))
    boxes = st.builds(lambda label, a, b: Located(label, (*map(min, a, b), *map(max, a, b))), labels(family), pair, pair)
    points = st.builds(lambda label, at: Located(label, None, at), labels(family), pair)
    return st.lists(st.one_of([boxes] * row.boxes + [points] * row.points), **sizes)


@for_each_family
def test_half_of_a_surrogate_pair_becomes_a_label_that_can_be_written(family):
    text = example_of(families()[family]).replace("dog", "\ud83dog")
    assert [located.label.encode() for located in parse(text, family).objects] == [b"?og"]
    assert parse("\ud83d", family).status == "unreadable"


@pytest.mark.long
@for_each_family
def test_what_is_written_is_read_again(family):
    @given(things(family, max_size=6))
    @example([thing(family, label, *box) for label in ("dog", "dog", "", "", "a cat", "dog") for box in ((0, 0, 1, 1), (2, 3, 3, 31))])
    @example([thing(family, "tiny", 0, 0, 0, 0)])
    def check(objects):
        answer = parse(format_answer(objects, family), family)
        assert answer.objects == objects
        assert answer.status == ("ok" if objects else "empty")
        assert set(answer.reasons) <= {"number-like-ratio", "literal-placeholder"}

    check()


@for_each_family
def test_the_fast_path_reads_what_the_tolerant_one_reads(family):
    @given(st.lists(st.tuples(st.sampled_from(EVERYDAY_LABELS + [""]), st.tuples(*[st.integers(0, 31)] * 4).map(sorted)), min_size=1))
    def check(rows):
        text = format_answer([thing(family, label, x1, y1, x2, y2) for label, (x1, y1, x2, y2) in rows], family)
        fast, tolerant = parse(text, family), parse(text + "\n ", family)
        assert fast == tolerant
        for one, other in zip(fast.objects, tolerant.objects, strict=True):
            assert max(abs(a - b) for a, b in zip(one.span, other.span, strict=True)) <= 1  # an inner bracket belongs to it or not

    check()


@for_each_family
def test_a_label_round_trips_and_only_an_awkward_one_may_be_refused(family):
    for label in dict.fromkeys(AWKWARD_LABELS + EVERYDAY_LABELS[:-1]):
        objects = [thing(family, label, 1, 2, 3, 4), thing(family, "dog", 5, 6, 7, 8), thing(family, label, 9, 10, 11, 12)]
        text = written(objects, family)
        assert text or label not in EVERYDAY_LABELS, label
        assert text is None or parse(text, family).objects == objects, label


@pytest.mark.long
@for_each_family
def test_a_span_holds_its_object(family):
    @given(things(family, min_size=1, max_size=4), st.sampled_from(["", "Here you are:\n", "<think>maybe (1,2)? [3]</think>\n"]))
    def check(objects, before):
        text = before + format_answer(objects, family)
        found = parse(text, family).objects
        assert found == objects
        for earlier, located, later in zip([None, *found], found, [*found[1:], None], strict=False):
            start, end = located.span
            assert len(before) <= start < end <= len(text)
            if all(other is None or other.label != located.label for other in (earlier, later)):  # else they may share a mark
                assert parse(text[start:end], family).objects == [located]
                assert earlier is None or earlier.span[1] <= start

    check()


@for_each_family
def test_a_cut_answer_keeps_its_whole_objects(family):
    @given(things(family, min_size=1, max_size=4), st.data())
    def check(objects, data):
        text = format_answer(objects, family)
        ends = [located.span[1] for located in parse(text, family).objects]
        cut = data.draw(st.integers(0, len(text)))
        answer = parse(text[:cut], family)
        shared = text.startswith(";", cut)  # the bracket, by the next box of the same label: the last number may be cut there
        tokens = families()[family].grammar == "florence_loc"  # where a box may be followed by half a token
        whole = sum(
            (end < cut and not (tokens and "<loc_".startswith(text[end:cut]))) or (end == cut and bool(located.box) and not shared)
            for located, end in zip(objects, ends, strict=True)
        )
        assert answer.objects[:whole] == objects[:whole]
        for left, located in zip(answer.objects[whole:], objects[whole:], strict=False):  # one whose end alone is missing may be kept
            if tokens and left.point:  # half a box of a family whose boxes have no end
                assert left.point == (located.point or located.box[:2])
            else:
                assert (left.box, left.point) == (located.box, located.point)
                assert located.label.startswith(left.label)
        assert len(answer.objects) <= len(objects)
        if cut == 0:
            assert answer.status == "empty"
        elif cut == len(text):
            assert answer.status == "ok"
        elif family in MARKED and cut not in ends:
            assert answer.status == "truncated"

    check()


MARKS = ["<ref>", "</ref>", "<box>", "</box>", "</think>", "<channel|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>"]
MARKS += ["<|box_end|>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<phrase>", "</phrase>", "<object>", "</object>"]
MARKS += ["<patch_index_0044>", "</delimiter_of_multi_objects/>", "<|begin_of_box|>", "<|end_of_box|>", "<loc_1>", "<loc0256>", "<loc"]
MARKS += ["<|TEXT_START|>", "<|TEXT_END|>", "<|LOC_BEGIN|>", "<|LOC_END|>", "<|LOC_7|>", "<|LOC_", "<x_12>", "<y_7>", "(1,2),(3,4)"]
MARKS += ["<12>", '<point x="1" y="2" alt="a">', "</point>", '<points x1="1" y1="2" alt="', '="']
FRAGMENTS = [*MARKS, *"{}[]()\"'`\\,:<>-.\n ", "<think>", "```json\n", "(1,2)", "(3,4)", ",", "12", "-7.5e3", "1e999", "NaN", '"bbox_2d"']
FRAGMENTS += ['"label"', '"point_2d": [1, 2]', '{"bbox_2d": [1, 2, 3, 4], "label": "a"}', "null", "dog", "\\ud800", '\\"']


@pytest.mark.long
@for_each_family
def test_no_text_breaks_the_parser(family):
    @settings(max_examples=150)
    @given(st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)))
    def check(text):
        check_answer(text, parse(text, family))

    check()


@pytest.mark.long
@for_each_family
def test_no_damage_to_an_answer_breaks_the_parser(family):
    @settings(max_examples=100)
    @given(things(family, min_size=1, max_size=4), st.data())
    def check(objects, data):
        text = format_answer(objects, family)
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(text)))
            end = data.draw(st.integers(start, min(len(text), start + 20)))
            foreign = data.draw(st.sampled_from(FRAGMENTS))
            changes = [text[:start], text[:start] + text[end:], text[:end] + text[start:], text[:start] + foreign + text[end:]]
            text = data.draw(st.sampled_from(changes))
        check_answer(text, parse(text, family))

    check()


HOSTILE = ["{", "[", '"', "9", " ", "\\", "\n", "(1,", "[1", "{}", '\\"', '"\n', '\\"\n', '"a', '"bbox_2d"', '{"bbox_2d": [', '{"a": ']
HOSTILE += ["(", "<", "]", "[[1,2,3,4]", "1,", "1;", "[1,2", "a[1,2]\n", "a ", "\u3000", 'x1="', "<think>", "<think></think>", *MARKS]
HOSTILE += ["<box>(1,2)", "<|box_start|>(1,2)"]
OPENINGS = ["", '{"a": "', '[{"bbox_2d": [', "<|object_ref_start|>", "<|box_start|>(1,2)", "<ref>", "<box>(1,2)", "<|begin_of_box|>["]
OPENINGS += ["dog[[1,", "<|det|>[[1", "<object><patch_index_0001>", "dog<loc_1>", '<points x1="1', "dog(1,2),(", "dog<|LOC_1|>"]


@pytest.mark.long
@pytest.mark.timeout(120)  # linear reading takes some seconds for all of them; anything worse does not end
@pytest.mark.parametrize("opening", OPENINGS)
def test_hostile_text_is_read_in_linear_time(opening):
    for family in FAMILIES:
        for piece in HOSTILE:
            assert parse(opening + piece * (20_000 // len(piece)) + "x</box>", family).status in STATUSES


@for_each_family
def test_deep_nesting_is_read(family):
    for text in ("[" * 20_000 + "]" * 20_000, '{"a":' * 10_000 + "}" * 10_000):
        assert parse(text, family).objects == []


@for_each_family
def test_nothing_located_is_the_familys_own_empty_answer(family):
    text = format_answer([], family)
    assert text == families()[family].empty_answer
    assert (parse(text, family).objects, parse(text, family).status) == ([], "empty")


THOUGHTS = [
    "",
    "<think>\nIs there one? [1, 2, 3, 4]\n</think>\n",
    "The prompt opened this thought.</think>",
    "<|channel>thought\n<channel|>",
]
NONE = ["", "  \n", "None", "none.", "None\n", "[]", "[ ]", "[]\n[]", "```json\n[]\n```", "```\n[]\n```", "null"]


@for_each_family
@pytest.mark.parametrize("before", THOUGHTS)
def test_ways_to_say_that_there_is_nothing(family, before):
    assert {text: read(before + text, family) for text in NONE} == dict.fromkeys(NONE, ([], "empty", []))


@for_each_family
def test_thinking_is_not_part_of_the_answer(family):
    dog, other = thing(family, "dog", 1, 2, 3, 4), thing(family, "cat", 5, 6, 7, 8)
    thought, said = format_answer([other], family), format_answer([dog], family)
    mixed = f"<think>a</think> {thought} <think>b</think>"
    for before in (f"<think>{thought}</think>", f"{thought}</think>\n\n", mixed, f"<|channel>thought\n{thought}<channel|>"):
        assert read(before + said, family) == ([dog], "ok", [])
        assert parse(before + said, family).objects[0].span[0] >= len(before)
    for mark in ("<think>", "<|channel>thought\n"):
        assert read(f"{mark}{thought}", family) == ([], "truncated", ["unclosed-thinking"])


@pytest.mark.parametrize("family", MARKED)
def test_a_label_that_holds_a_mark_is_refused(family):
    for mark in (*GRAMMARS[families()[family].grammar].marks, "</think>", "<channel|>"):
        with pytest.raises(GroundswiftError, match="contains a token of the box text"):
            format_answer([Located(f"a{mark}b", (1, 2, 3, 4))], family)


@for_each_family
def test_a_coordinate_that_is_not_finite_is_refused(family):
    for value in (math.nan, math.inf, -math.inf):
        objects = [Located("dog", (1, 2, value, 4))] if families()[family].boxes else [Located("dog", None, (1, value))]
        with pytest.raises(GroundswiftError, match="expected a finite number"):
            format_answer(objects, family)


@for_each_family
def test_what_a_family_cannot_write_is_refused(family):
    if not families()[family].points:
        with pytest.raises(GroundswiftError, match="boxes only"):
            format_answer([Located("dog", None, (1, 2))], family)
    if not families()[family].boxes:
        with pytest.raises(GroundswiftError, match="points only"):
            format_answer([Located("dog", (1, 2, 3, 4))], family)
    if families()[family].grammar in WHOLE_NUMBERS:
        for value in (1.5, -1, limit(family) + 1):
            with pytest.raises(GroundswiftError, match=f"expected a whole number from 0 to {limit(family):g}"):
                format_answer([Located("dog", (0, 0, value, 1))], family)


@for_each_family
def test_a_grammar_can_be_sent_to_a_worker(family):
    grammar, things = GRAMMARS[families()[family].grammar], [thing(family, "dog", 1, 2, 3, 4)]
    assert pickle.loads(pickle.dumps(grammar)).format(things) == grammar.format(things)


@for_each_family
def test_nothing_to_write_is_refused(family):
    with pytest.raises(GroundswiftError, match="'dog' has neither box nor point"):
        format_answer([Located("dog")], family)


def test_an_unknown_family_is_an_error():
    for ask in (lambda: parse("", "qwen9"), lambda: format_answer([], "qwen9")):
        with pytest.raises(GroundswiftError, match="unknown model family 'qwen9'; expected one of "):
            ask()


def test_located_compares_without_its_span():
    assert Located("a", (1, 2, 3, 4), None, (0, 5)) == Located("a", (1.0, 2.0, 3.0, 4.0))
    assert len({Located("a", (1, 2, 3, 4)), Located("a", (1, 2, 3, 4), None, (0, 5))}) == 1
    assert Located("a", (1, 2, 3, 4)) != Located("b", (1, 2, 3, 4))
    assert Located("a") != "a"
