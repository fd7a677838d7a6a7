"""JSON answers beyond what holds for every family: two sets of keys, spans by two ways of reading, prefixes, hostile text."""

import time
from functools import partial

import pytest
from answer_cases import read
from growth import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz_target import FAMILIES, Target, check_answer
from groundswift import Located, families, format_answer, parse
from groundswift.grammars.json_objects import JsonKeys
from groundswift.grammars.json_tolerant import JsonScan
from hostile_text import hostile_kinds, hostile_text

QWEN, GEMINI = "qwen3_vl", "gemini"
KEYS = {QWEN: JsonKeys("bbox_2d", "point_2d"), GEMINI: JsonKeys("box_2d", "point", y_first=True)}
for_both = pytest.mark.parametrize("family", [QWEN, GEMINI])


def things(**sizes: int) -> st.SearchStrategy[list[Located]]:
    number = st.integers(0, 1000)
    labels = st.one_of(st.sampled_from(["dog", "", "狗", 'a 12" screen', "a}b", "{", "},\n\t{", "},{"]), st.text(max_size=8))
    labels = labels.filter(lambda label: "<|" not in label and "</think>" not in label and "<channel|>" not in label)
    pair = st.tuples(number, number)
    boxes = st.builds(lambda label, a, b: Located(label, (*map(min, a, b), *map(max, a, b))), labels, pair, pair)
    return st.lists(st.one_of(boxes, boxes, st.builds(lambda label, at: Located(label, None, at), labels, pair)), **sizes)


def test_gemini_writes_y_first_and_we_hold_x_first():
    objects = [Located("dog", (1, 2, 30, 40)), Located("cat", None, (5, 6))]
    text = '```json\n[\n\t{"box_2d": [2, 1, 40, 30], "label": "dog"},\n\t{"point": [6, 5], "label": "cat"}\n]\n```'
    assert format_answer(objects, GEMINI) == text
    assert parse(text, GEMINI).objects == objects
    assert families()[GEMINI].axis_order == "y1x1y2x2"


DOG = Located("dog", (1, 2, 30, 40))
MIXED_QUOTES = "[{'bbox_2d': [1, 2, 30, 40]}, {\"bbox_2d\": [5, 6, 7, 8]}]"


@pytest.mark.parametrize(
    ("family", "text", "objects", "reasons"),
    [
        (GEMINI, '[{"box_2d": [2, 1, 40, 30], "mask": "x", "label": "dog"}]', [DOG], []),
        (GEMINI, '[{"box_2d": [40, 30, 2, 1], "label": "dog"}]', [DOG], ["box-inverted"]),
        (QWEN, '[{"bbox_2d": [1, 40, 30, 2], "label": "dog"}]', [DOG], ["box-inverted"]),
        (QWEN, '[{"bbox_2d": [1, 2, 30, 40], "mask": [[5, 6]]}]', [Located("", (1, 2, 30, 40))], []),
        (QWEN, '[{"bbox_2d": [1, 2, 30, 40], "mask": [[5, 6], [7, 8]]}]', [Located("", (1, 2, 30, 40))], []),
        (GEMINI, "[2, 1, 40, 30]", [Located("", (1, 2, 30, 40))], []),
        (GEMINI, '[{"box_2d": [1, 2, 3], "label": "dog"}]', [], ["malformed-box"]),
        (GEMINI, '[{"bbox_2d": [1, 2, 30, 40], "label": "dog"}]', [], ["other-key"]),
        (GEMINI, '[{"point_2d": [1, 2], "label": "dog"}]', [], ["other-key"]),
        (QWEN, '[{"box_2d": [2, 1, 40, 30], "label": "dog"}]', [], ["other-key"]),
        (QWEN, '[{"bbox": [1, 2, 30, 40], "label": "dog"}]', [], ["other-key"]),
        (QWEN, '[{"point": [2, 1], "label": "dog"}]', [], ["other-key"]),
        (QWEN, '[{"point": "here", "label": "dog"}]', [], ["no-box-in-object"]),
        (QWEN, '[{"bbox_2d": [1, 2, 30, 40], "box_2d": [2, 1, 40, 30]}]', [Located("", (1, 2, 30, 40))], []),
        (QWEN, "[{'bbox_2d': [1, 2, 30, 40], 'label': 'dog'}]", [DOG], ["single-quotes"]),
        (QWEN, "[{'bbox_2d': [1, 2, 30, 40], 'label': \"it's\"}]", [Located("it's", (1, 2, 30, 40))], ["single-quotes"]),
        (QWEN, "[{'bbox_2d': [1, 2, 30, 40], 'label': 'dogs' bowl'}]", [Located("dogs' bowl", (1, 2, 30, 40))], ["single-quotes"]),
        (QWEN, '[{"bbox_2d": "1, 2, 30, 40", "score": 0.5}]', [Located("", (1, 2, 30, 40))], ["numbers-as-text"]),
        (QWEN, '[{"bbox_2d": [1, 2, 30, 40], "label": "dog", "label": "dog"}]', [DOG], ["repeated-key"]),
        (QWEN, MIXED_QUOTES, [Located("", (5, 6, 7, 8))], ["list-without-key", "no-box-in-object"]),
    ],
    ids=str,
)
def test_keys(family, text, objects, reasons):
    assert read(text, family) == (objects, "ok" if objects else "unreadable", reasons)


@for_both
def test_the_two_ways_of_reading_agree(family):
    """The decoder in C takes what is well formed, the tolerant reader anything; both must give the same, spans included."""

    @given(things(min_size=1, max_size=5), st.sampled_from(["", "<think>a [1, 2] b</think>\n"]), st.sampled_from([", ", ",\n\t", " ,"]))
    def check(objects, before, between):
        text = before + format_answer(objects, family).replace(",\n\t{", between + "{")
        quick, tolerant = parse(text, family), JsonScan(KEYS[family], 1000).read(text.replace(before, " " * len(before), 1))
        assert quick.objects == objects
        assert quick.status == tolerant.status == "ok"
        assert [(o, o.span) for o in quick.objects] == [(o, o.span) for o in tolerant.objects]

    check()


@for_both
@pytest.mark.parametrize("label", ["a}b", "{", "}", "},\n\t{", "},{", "}, {"])
def test_braces_in_labels_do_not_shift_the_spans(family, label):
    objects = [Located(label, (1, 2, 3, 4)), Located("dog", (1, 2, 3, 4)), Located(label, (5, 6, 7, 8))]
    for between in (",\n\t{", ",{", ", {"):
        text = format_answer(objects, family).replace(",\n\t{", between)
        spans = [located.span for located in parse(text, family).objects]
        assert [text[start] + text[end - 1] for start, end in spans] == ["{}"] * 3
        assert [parse(text[start:end], family).objects for start, end in spans] == [[located] for located in objects]


@for_both
def test_every_prefix_keeps_its_whole_objects_and_only_those(family):
    @given(things(min_size=1, max_size=3))
    def check(objects):
        text = format_answer(objects, family)
        ends = [located.span[1] for located in parse(text, family).objects]
        for cut in range(len(text) + 1):
            answer = parse(text[:cut], family)
            assert answer.objects == objects[: sum(end <= cut for end in ends)]
            assert answer.status == ("empty" if cut == 0 else "ok" if cut > text.rindex("]") else "truncated")

    check()


def test_the_target_of_the_fuzzer_holds():
    @settings(max_examples=200)
    @given(st.binary(max_size=80))
    def check(data):
        target = Target()
        target(data)
        assert target.failures == {}

    check()


def test_the_fuzzer_notices_errors(monkeypatch):
    """A parser that raises, one with wrong spans and a slow one are each reported, with the text that shows it."""
    target = Target()
    monkeypatch.setattr("fuzz_target.PUMP_EVERY", 1)
    monkeypatch.setattr("fuzz_target.PUMP_LIMIT_S", 0.0)
    target(b"\x00\x02\x01\x02\x03")
    assert [kind.split(" ")[0] for kind in target.failures] == ["AssertionError"]
    monkeypatch.setattr("fuzz_target.parse", lambda text, family: 1 / 0)
    target(b"\x00\x02\x01\x02\x03")
    assert any(kind.startswith("ZeroDivisionError") for kind in target.failures)
    with pytest.raises(AssertionError):
        check_answer("ab", parse("[1, 2, 3, 4]", QWEN))


def test_the_fuzzer_feeds_every_grammar():
    assert {families()[name].grammar for name in FAMILIES} == {row.grammar for row in families().values()}


@pytest.mark.long
@pytest.mark.timeout(300)
@for_both
def test_hostile_text_is_read_in_linear_time(family):
    """Most kinds are read in 0.01 s; of those that take longer it is measured how the time grows."""
    slow, parse_one = [], partial(parse, family=family)
    for kind in hostile_kinds(format_answer([DOG], family)):
        text, start = hostile_text(kind, 20_000), time.process_time()
        parse_one(text)
        if time.process_time() - start > 0.05:
            slow.append(kind)
    times = {kind: growth(parse_one, hostile_text(kind, 5_000), hostile_text(kind, 40_000)) for kind in slow}
    assert {kind: found for kind, found in times.items() if found > 3 * 8} == {}


@pytest.mark.parametrize("repeated", ['"label":"a",', '"label":"a","label":"b",', '"bbox_2d":[1,2,3,4],"box_2d":[1,2,3,4],'])
def test_keys_repeated_in_an_object_are_read_in_linear_time(repeated):
    """400,000 characters took 1.3 s and more while each repetition copied those before it."""

    def text(size: int) -> str:
        return "[{" + repeated * (size // len(repeated)) + '"z": 1}]'

    assert growth(partial(parse, family=QWEN), text(50_000), text(400_000)) < 3 * 8


@pytest.mark.parametrize("label", ["dog", "a: b", "no \\u003a colon"])
@pytest.mark.parametrize("before", ["", "Here is the list:\n", "```json\n"])
@pytest.mark.parametrize("first", ['"point_2d": [1, 2], "label": "p"', '"bbox_2d": [1, 2, 3, 4]', '"bbox_2d": [1, 2, 3, 4], "label": "x"'])
def test_a_key_twice_in_an_object_is_noticed_whatever_is_around(first, before, label):
    """The decoder keeps the last of two; the reader takes both boxes, with a reason."""
    answer = parse(f'{before}[{{{first}}}, {{"bbox_2d": [1, 2, 3, 4], "bbox_2d": [5, 6, 7, 8], "label": "{label}"}}]', QWEN)
    assert [located.box for located in answer.objects[1:]] == [(1, 2, 3, 4), (5, 6, 7, 8)]
    assert answer.reasons == ["repeated-key"]


@pytest.mark.parametrize("behind", ["", "\n```", " These are all.", '\n```\nThe "dog" is left; (see above).'])
@pytest.mark.parametrize("before", ["Here:\n", "Sure, 'dog': \n```json\n", "The boxes (two of them):\n"])
@for_both
def test_a_list_in_prose_is_read_as_the_list_alone(family, before, behind):
    """Labels, order, spans and status; `without_thinking` and the reader of broken text are not needed for it."""
    things = [Located("dog: a", (1, 2, 30, 40)), Located("cat", (5, 6, 70, 80))]
    alone = format_answer(things, family).removeprefix("```json\n").removesuffix("\n```")
    answer = parse(before + alone + behind, family)
    assert (answer.objects, answer.status, answer.reasons) == (things, "ok", [])
    read = [(before + alone + behind)[slice(*located.span)] for located in answer.objects]
    assert read == [alone[slice(*located.span)] for located in parse(alone, family).objects]
