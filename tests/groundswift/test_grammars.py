"""What holds for the box text of every family: it round-trips, no text breaks it, a cut answer keeps its whole objects."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groundswift import Located, families, format_answer, parse
from groundswift.errors import GroundswiftError

FAMILIES = sorted(families())
LIMIT = {name: 1000 if row.space == "norm1000" else 6000 for name, row in families().items()}
MARKS = ("<ref>", "</ref>", "<box>", "</box>", "</think>")
QWEN2_MARKS = ("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>")
STATUSES = {"ok", "empty", "truncated", "unreadable"}
for_each_family = pytest.mark.parametrize("family", FAMILIES)
few = settings(max_examples=60, deadline=None)

AWKWARD_LABELS = [
    "",
    "dog",
    " dog ",
    'a 12" screen',
    "it's",
    "red, or blue",
    "traffic\nlight",
    "狗",
    "\\",
    "\\n",
    'quote\\"',
    "🐕‍🦺",
    "</",
    "<|box",
    "[1, 2, 3, 4]",
    '{"bbox_2d": [1, 2, 3, 4]}',
    "(1,2),(3,4)",
    "None",
    "```",
    "<think>",
    "<bbox>",
    "\x00\x7f\u2028",
]
labels = st.one_of(st.sampled_from(AWKWARD_LABELS), st.text(max_size=12)).filter(
    lambda label: not any(mark in label for mark in (*MARKS, *QWEN2_MARKS))
)


def coordinates(limit: float) -> st.SearchStrategy[float]:
    return st.one_of(st.integers(0, int(limit)), st.floats(0, limit, allow_nan=False, allow_subnormal=False))


def boxes(limit: float) -> st.SearchStrategy[Located]:
    def located(label, xs, ys):
        return Located(label, (*map(min, (xs, ys)), *map(max, (xs, ys))))

    pair = st.tuples(coordinates(limit), coordinates(limit))
    return st.builds(located, labels, pair, pair)


def points(limit: float) -> st.SearchStrategy[Located]:
    return st.builds(lambda label, at: Located(label, None, at), labels, st.tuples(coordinates(limit), coordinates(limit)))


def things(family: str, **sizes: int) -> st.SearchStrategy[list[Located]]:
    return st.lists(st.one_of(boxes(LIMIT[family]), points(LIMIT[family])), **sizes)


@for_each_family
def test_what_is_written_is_read_again(family):
    @few
    @given(things(family, max_size=6))
    @example([Located("dog", (0, 0, 1, 1)), Located("", (1, 1, 2, 2)), Located("", None, (3, 3)), Located("cat", (4, 4, 4, 4))])
    @example([Located("tiny", (0.0, 1e-300, 0.5, 1))])
    def check(objects):
        answer = parse(format_answer(objects, family), family)
        assert answer.objects == objects
        assert answer.status == ("ok" if objects else "empty")
        assert set(answer.reasons) <= {"looks_like_ratios", "literal_placeholder"}

    check()


@for_each_family
@pytest.mark.parametrize("label", AWKWARD_LABELS)
def test_an_awkward_label_round_trips(family, label):
    objects = [Located(label, (1, 2, 30, 40)), Located("dog", None, (5, 6)), Located(label, (1.5, 2, 30, 40))]
    assert parse(format_answer(objects, family), family).objects == objects


@for_each_family
def test_a_span_holds_its_object(family):
    @few
    @given(things(family, min_size=1, max_size=4), st.sampled_from(["", "Here you are:\n", "<think>maybe (1,2)? [3]</think>\n"]))
    def check(objects, before):
        text = before + format_answer(objects, family)
        found = parse(text, family).objects
        assert found == objects
        for located in found:
            start, end = located.span
            assert parse(text[start:end], family).objects == [located]

    check()


@for_each_family
def test_a_cut_answer_keeps_its_whole_objects_and_only_those(family):
    @few
    @given(things(family, min_size=1, max_size=4), st.data())
    def check(objects, data):
        text = format_answer(objects, family)
        ends = [located.span[1] for located in parse(text, family).objects]
        cut = data.draw(st.integers(0, len(text)))
        answer = parse(text[:cut], family)
        assert answer.objects == objects[: sum(end <= cut for end in ends)]
        if cut == 0:
            assert answer.status == "empty"
        elif cut in ends and not families()[family].grammar.startswith("json"):
            assert answer.status == "ok"  # as far as anybody can see, it ends there
        else:
            closed = families()[family].grammar.startswith("json") and cut > text.rindex("]")
            assert answer.status == ("ok" if closed or cut == len(text) else "truncated")

    check()


FRAGMENTS = [*MARKS, *QWEN2_MARKS, *"{}[]()\"'`\\,:<>-.\n ", "<think>", "```json\n", "(1,2)", "(3,4)", ",", "12", "-7.5e3", "1e999", "NaN"]
FRAGMENTS += ['"bbox_2d"', '"label"', '"point_2d": [1, 2]', '{"bbox_2d": [1, 2, 3, 4], "label": "a"}', "null", "dog", "\\ud800", '\\"']


def check_answer(text: str, family: str) -> None:
    """What must hold for the reading of any text."""
    answer = parse(text, family)
    assert answer.status in STATUSES
    assert (answer.status == "ok") <= bool(answer.objects)
    assert not (answer.objects and answer.status in ("empty", "unreadable"))
    assert (answer.status == "unreadable") <= bool(answer.reasons)
    assert not (answer.status == "empty" and answer.reasons)
    for located in answer.objects:
        assert (located.box is None) != (located.point is None)
        numbers = located.box or located.point
        assert all(map(math.isfinite, numbers))
        if located.box is not None:
            assert numbers[0] <= numbers[2]
            assert numbers[1] <= numbers[3]
        assert 0 <= located.span[0] < located.span[1] <= len(text)
        located.label.encode("utf-8")
    starts = [located.span[0] for located in answer.objects]
    assert starts == sorted(starts)


@for_each_family
def test_no_text_breaks_the_reader(family):
    @settings(max_examples=150, deadline=None)
    @given(st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)))
    def check(text):
        check_answer(text, family)

    check()


@for_each_family
def test_no_damage_to_an_answer_breaks_the_reader(family):
    @settings(max_examples=100, deadline=None)
    @given(things(family, min_size=1, max_size=4), st.data())
    def check(objects, data):
        text = format_answer(objects, family)
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(text)))
            end = data.draw(st.integers(start, min(len(text), start + 20)))
            text = data.draw(
                st.sampled_from(
                    [
                        text[:start],
                        text[:start] + text[end:],
                        text[:end] + text[start:],
                        text[:start] + data.draw(st.sampled_from(FRAGMENTS)) + text[end:],
                    ]
                )
            )
        check_answer(text, family)

    check()


HOSTILE = ["{", "[", '"', "9", " ", "\\", "\n", "(1,", "[1", "{}", '\\"', '"\n', '\\"\n', '"a', '"bbox_2d"', '{"bbox_2d": [', '{"a": ']
HOSTILE += ["<think>", "<think></think>", "<ref>", "<box>", "<box>(1,2)", *QWEN2_MARKS, "<|box_start|>(1,2)"]
OPENINGS = ["", '{"a": "', '[{"bbox_2d": [', "<|object_ref_start|>", "<|box_start|>(1,2)", "<ref>", "<box>(1,2)"]


@pytest.mark.timeout(120)  # linear reading takes some seconds for all of them; anything worse does not end
@pytest.mark.parametrize("opening", OPENINGS)
def test_hostile_text_is_read_in_linear_time(opening):
    for family, ending in (("qwen_vl", "x</box>"), ("qwen2_vl", "x<|box_end|>"), ("qwen2_5_vl", "")):
        for piece in HOSTILE:
            assert parse(opening + piece * (200_000 // len(piece)) + ending, family).status in STATUSES


@for_each_family
def test_deep_nesting_is_read(family):
    for text in ("[" * 100_000 + "]" * 100_000, '{"a":' * 50_000 + "}" * 50_000):
        assert parse(text, family).objects == []


@for_each_family
def test_nothing_located_is_the_familys_own_empty_answer(family):
    text = format_answer([], family)
    assert text == families()[family].empty_answer
    assert (parse(text, family).objects, parse(text, family).status) == ([], "empty")


@for_each_family
@pytest.mark.parametrize("text", ["", "  \n", "None", "none.", "None\n", "[]", "[ ]", "[]\n[]", "```json\n[]\n```", "```\n[]\n```", "null"])
@pytest.mark.parametrize("before", ["", "<think>\nIs there one? [1, 2, 3, 4]\n</think>\n", "The prompt opened this thought.</think>"])
def test_ways_to_say_that_there_is_nothing(family, text, before):
    answer = parse(before + text, family)
    assert (answer.objects, answer.status, answer.reasons) == ([], "empty", [])


@for_each_family
def test_thinking_is_no_part_of_the_answer(family):
    thing, other = Located("dog", (1, 2, 30, 40)), Located("cat", (5, 6, 7, 8))
    thought, said = format_answer([other], family), format_answer([thing], family)
    for before in (f"<think>{thought}</think>", f"{thought}</think>\n\n", f"<think>a</think> {thought} <think>b</think>"):
        answer = parse(before + said, family)
        assert (answer.objects, answer.status, answer.reasons) == ([thing], "ok", [])
        assert answer.objects[0].span[0] >= len(before)
    unfinished = parse(f"<think>{thought}", family)
    assert (unfinished.objects, unfinished.status, unfinished.reasons) == ([], "truncated", ["unclosed_thinking"])


@for_each_family
@pytest.mark.parametrize("mark", QWEN2_MARKS + ("</think>",))
def test_a_label_that_holds_a_mark_is_refused(family, mark):
    if mark in QWEN2_MARKS and family == "qwen_vl":
        return
    with pytest.raises(GroundswiftError, match="holds a mark of the box grammar"):
        format_answer([Located(f"a{mark}b", (1, 2, 3, 4))], family)


@for_each_family
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_coordinate_that_is_not_finite_is_refused(family, value):
    with pytest.raises(GroundswiftError, match="expected a finite number"):
        format_answer([Located("dog", (1, 2, value, 4))], family)


@for_each_family
def test_nothing_to_write_is_refused(family):
    with pytest.raises(GroundswiftError, match="'dog' has neither box nor point"):
        format_answer([Located("dog")], family)


def test_an_unknown_family_is_an_error():
    for verb in (lambda: parse("", "qwen9"), lambda: format_answer([], "qwen9")):
        with pytest.raises(GroundswiftError, match="unknown model family 'qwen9'; expected one of "):
            verb()


def test_located_compares_without_its_span():
    assert Located("a", (1, 2, 3, 4), None, (0, 5)) == Located("a", (1.0, 2.0, 3.0, 4.0))
    assert len({Located("a", (1, 2, 3, 4)), Located("a", (1, 2, 3, 4), None, (0, 5))}) == 1
    assert Located("a", (1, 2, 3, 4)) != Located("b", (1, 2, 3, 4))
    assert Located("a") != "a"
