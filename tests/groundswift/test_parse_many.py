"""`parse_many` finds what `parse` finds, text by text, and reads well-formed answers without it."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz_target import FAMILIES, FRAGMENTS_OF, Draws, damaged, well_formed
from groundswift import Located, families, format_answer, parse, parse_many
from groundswift.answers import Answer
from groundswift.errors import GroundswiftError
from groundswift.grammars import columns, json_boxes, numbers
from groundswift.grammars.byte_words import SPARE, DigitRuns, Words, distinct, distinct_numbers
from groundswift.grammars.columns import STATUSES, AnswerColumns
from groundswift.grammars.fast_path import Plain
from groundswift.grammars.registry import grammar_of
from groundswift.grammars.tags import TagGrammar
from groundswift.spaces import space_row

FAST = [name for name in FAMILIES if hasattr(grammar_of(name), "skeleton")]
POINTS = [name for name in FAMILIES if isinstance(grammar_of(name), TagGrammar)]
LABELS = ["dog", "a big dog", "class 51", "x-ray", "狗", "two dogs and a very long phrase that takes more than eight words"]


def everything(answer):
    """The answer with spans and polygons, which comparisons of `Located` ignore."""
    return answer, [(located.span, located.polygon) for located in answer.objects]


def same(texts: list[str], family: str) -> AnswerColumns:
    """Check all answers; the columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "FEW", 0)
        found = parse_many(texts, family)
    assert len(found) == len(texts)
    for index, text in enumerate(texts):
        assert everything(found.answer(index)) == everything(parse(text, family)), text
    return found


def box(family: str, draw: random.Random) -> tuple[float, ...]:
    limit = space_row(families()[family].space).largest or 6000
    if limit == 1:
        digits = numbers_of_decimals(family)
        x1, y1, x2, y2 = (draw.randrange(10**digits + 1) / 10**digits for _ in range(4))
    else:
        largest = 31 if families()[family].grammar == "kosmos_patches" else int(limit)
        x1, y1, x2, y2 = (draw.randint(0, largest) for _ in range(4))
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def numbers_of_decimals(family: str) -> int:
    return {"shikra_brackets": 3}.get(families()[family].grammar, 2)


def answers(family: str, count: int, seed: int = 0, labels=tuple(LABELS)) -> list[str]:
    """Well-formed answers of 1 to 6 boxes, several of one label among them."""
    draw = random.Random(seed)
    return [
        format_answer([Located(draw.choice(labels), box(family, draw)) for _ in range(draw.randint(1, 6))], family) for _ in range(count)
    ]


@pytest.mark.parametrize("family", FAST)
def test_well_formed_answers_are_read_without_parse(family, monkeypatch):
    texts = answers(family, 200)
    expected = [everything(parse(text, family)) for text in texts]

    def refuse(text):
        raise AssertionError(f"read one by one: {text}")

    monkeypatch.setattr(columns, "without_surrogates", refuse)
    monkeypatch.setattr(columns, "FEW", 0)
    found = parse_many(texts, family)
    assert [everything(found.answer(index)) for index in range(len(texts))] == expected
    assert found.boxes.shape == (found.offsets[-1], 4)
    assert found.labels == [located.label for answer, _ in expected for located in answer.objects]
    assert set(found.statuses.tolist()) == {STATUSES.index("ok")}


@pytest.mark.parametrize("family", FAMILIES)
@given(seeds=st.lists(st.binary(max_size=40), max_size=8), seed=st.integers(0, 1000))
def test_any_texts_are_read_as_by_parse(family, seeds, seed):
    texts = [damaged(well_formed(family, draws), FRAGMENTS_OF[family], draws) for draws in map(Draws, seeds)]
    if family in FAST:
        texts = [text for pair in zip(answers(family, len(texts), seed), texts, strict=True) for text in pair]
    same(texts, family)


@pytest.mark.long
@pytest.mark.parametrize("family", FAST)
def test_every_change_of_one_character_is_read_as_by_parse(family):
    text = answers(family, 40, labels=("dog", "狗 a"))[3]
    changed = [text[:at] + new + text[at + 1 :] for at in range(len(text)) for new in ("", "0", "-", " ", "]", "}", "\n", "9", ".", "A")]
    same([*changed, text], family)


@pytest.mark.parametrize("family", FAST)
def test_numbers_at_the_limits_are_read_as_by_parse(family):
    text = format_answer([Located("dog", (0, 0, 1, 1))], family)
    same([text.replace("1", digits) for digits in ("0", "00", "1000", "1001", "99999999", "999999999", "1" * 30, "01", "1e3")], family)


def test_chunks_are_joined(monkeypatch):
    monkeypatch.setattr(columns, "CHUNK", 300)
    texts = answers("qwen2_vl", 50)
    texts[7], texts[30] = "nothing", ""
    found = same(texts, "qwen2_vl")
    assert found.reasons == {7: ["no-box"]}
    assert len(set(found.label_names)) == len(found.label_names)


def test_no_texts():
    found = same([], "qwen2_vl")
    assert (found.boxes.shape, found.labels, found.offsets.tolist()) == ((0, 4), [], [0])


def test_numbers_of_an_incomplete_box_are_not_those_of_the_next_text():
    same(["cat<loc_7>", format_answer([Located("dog", (1, 2, 3, 4)), Located("dog", (5, 6, 7, 8))], "florence2")], "florence2")


def test_points_and_boxes_together():
    found = same(["<|box_start|>(3,4)<|box_end|>", answers("qwen2_vl", 1)[0]], "qwen2_vl")
    assert found.points[0].tolist() == [3, 4]
    assert np.isnan(found.boxes[0]).all()
    assert np.isnan(found.points[1:]).all()


def test_an_answer_cut_at_the_token_limit():
    texts = [*answers("qwen2_vl", 2), "None"]
    found = parse_many(texts, "qwen2_vl", cut=[True, False, True])
    assert [found.answer(index) for index in range(3)] == [
        parse(text, "qwen2_vl", cut=cut) for text, cut in zip(texts, (1, 0, 1), strict=True)
    ]


def test_an_unknown_family():
    with pytest.raises(GroundswiftError, match="nobody"):
        parse_many(["x"], "nobody")


def point_answers(family: str, count: int, seed: int) -> list[str]:
    """Well-formed answers of points, several of one label among them; some with numbers that `parse` warns of."""
    draw = random.Random(seed)

    units = 1 if grammar_of(family).coords else 10

    def point() -> tuple[float, float]:
        x, y = (draw.randint(11, 1000) / units for _ in range(2))
        return draw.choice([0, 0.5, 1, 99.9, 100, 100.1]) if draw.random() < 0.05 else x, y

    return [
        format_answer([Located(draw.choice(["dog", "class 51", "狗", "a 5 6"]), None, point()) for _ in range(draw.randint(1, 12))], family)
        for _ in range(count)
    ]


@pytest.mark.parametrize("family", POINTS)
@given(seed=st.integers(0, 10_000), seeds=st.lists(st.binary(max_size=9), max_size=6))
def test_points_are_read_as_by_parse(family, seed, seeds):
    texts = point_answers(family, len(seeds), seed)
    same([*texts, *(damaged(text, FRAGMENTS_OF[family], Draws(draws)) for text, draws in zip(texts, seeds, strict=True))], family)


@pytest.mark.parametrize("family", POINTS)
def test_well_formed_points_are_read_without_parse(family, monkeypatch):
    objects = [
        Located("dog", None, (10, 20)),
        Located("dog", None, (0, 100)),
        Located("class 51", None, (33, 4)),
        Located("狗", None, (2, 2)),
    ]
    texts = [format_answer(objects[:size], family) for size in (1, 2, 3, 4)] * 3
    found = same(texts, family)
    assert np.isnan(found.boxes).all()
    monkeypatch.setattr(columns, "without_surrogates", None)
    monkeypatch.setattr(columns, "FEW", 0)
    assert parse_many(texts, family).points.tolist() == found.points.tolist()


def test_points_like_ratios_are_read_without_parse(monkeypatch):
    texts = [
        format_answer([Located("dog", None, point) for point in points], "molmo")
        for points in ([(0.5, 0.1)], [(50, 50), (0.1, 1)], [(0, 1), (1, 1)], [(0.2, 0.3), (3, 4), (0.4, 0)])
    ]
    expected = [parse(text, "molmo").reasons for text in texts]
    assert list(map(len, expected)) == [1, 1, 0, 2]
    monkeypatch.setattr(columns, "without_surrogates", None)
    monkeypatch.setattr(columns, "FEW", 0)
    found = parse_many([*texts, *texts], "molmo")
    assert [found.answer(index).reasons for index in range(8)] == expected * 2


@pytest.mark.parametrize(
    "text",
    [
        '<points x1="1.5" y1="2.5" x3="3.5" y3="4.5" alt="a">a</points>',
        '<points x1="1.5" y1="2.5" x02="3.5" y02="4.5" alt="a">a</points>',
        '<points x1="1.5" y2="2.5" x2="3.5" y1="4.5" alt="a">a</points>',
        '" x2="3.5" y2="4.5" alt="a">a</points>\n<points x1="1.5" y1="2.5" alt="a">a</points>',
        '<point x="1.5" y="2.5" alt="a">b</point>',
        '<point x="1.5" y="2.5" alt="a&gt;b">a&gt;b</point>',
        '<points coords="2 1 073 160">a</points>',
        '<points coords="1 1 073 160 2">a</points>',
        '<points coords="1 1 073  160">a</points>',
        '<points coords="1 1 073 1601">a</points>',
        '<points coords="1 1 073 160"> a</points>',
        '<points coords="1 1 073 160;2 2 1 1">a</points>',
        '<points coords="1 1 073 160"></points>',
        '<points coords="1 1 0000000731 160">a</points>',
        '<point x="0000000073.1" y="2.5" alt="a">a</point>',
        '<point x="0.5" y="0.5" alt="a">a</point></think>none',
    ],
)
def test_tags_that_are_not_plain(text):
    for family in POINTS:
        good = format_answer([Located("dog", None, (50, 50))], family)
        same([good, text, good, f"{good}\n{text}", f"{text}\n{good}", f"{good} {good}"], family)


def test_a_grammar_without_a_finder_is_read_one_by_one():
    class Own:
        def parse(self, text, limit):
            return Answer([Located(text, (1, 2, 3, 4))], "ok", [])

    found = columns.columns_of(["a" * columns.FEW, "b"], Own(), 1000)
    assert found.answer(1) == Answer([Located("b", (1, 2, 3, 4))], "ok", [])


def test_labels_that_mix_to_one_number_stay_apart(monkeypatch):
    monkeypatch.setattr("groundswift.grammars.byte_words.MIX", np.uint64(0))
    words = Words(b"cat dog cat cow")
    begins = np.array([0, 4, 8, 12]) + words.data.index(b"cat")
    ids, examples = distinct(words, begins, np.array([3, 3, 3, 3]))
    assert words.texts(begins[examples[ids]], np.array([3, 3, 3, 3])) == ["cat", "dog", "cat", "cow"]


@pytest.mark.parametrize("largest", [4, 8, 12])
def test_runs_of_digits(largest):
    runs = [str(number)[:size].zfill(size) for size in range(1, largest + 1) for number in (0, 7, 10 ** (size - 1), 987654321987)]
    text = "".join(f"{'x' * (len(run) % 3)}<|LOC_{run}|>" for run in runs)
    digits = DigitRuns(Words(text.encode()), more=2)
    assert digits.numbers()[: len(runs)].tolist() == [int(run[:8]) for run in runs]
    assert digits.lengths.tolist() == [*map(len, runs), 0, 0]
    expected = [False, *(len(run) % 3 == 0 for run in runs[1:]), False, False]
    assert digits.follows("|><|LOC_").tolist() == expected
    some = np.array([3, 4, 0, len(runs)])
    assert digits.follow_at(some, "|><|LOC_").tolist() == [expected[place] for place in some]


@pytest.mark.parametrize("literal", ["a", "ab", "abc", "abcdefgh", "abcdefghi", "abcdefghijklmnopqrstuvwxyz"])
def test_literals_at_places(literal):
    near = [literal, *(literal[:place] + "?" + literal[place + 1 :] for place in range(len(literal)))]
    words = Words("".join(f"{each}1" for each in near).encode())
    assert DigitRuns(words).behind(literal).tolist() == [each == literal for each in near]
    begins = SPARE + np.arange(len(near)) * (len(literal) + 1)
    assert words.after(begins, literal).tolist() == [each == literal for each in near]
    assert words.before(begins + len(literal), literal).tolist() == [each == literal for each in near]


def test_numbers_in_one_bucket_stay_apart():
    numbers_ = np.array([7, 1 << 63, 7, 8, 1 << 63, 9], np.uint64)
    ids, examples = distinct_numbers(numbers_)
    assert numbers_[examples[ids]].tolist() == numbers_.tolist()
    assert len(examples) == len(set(ids.tolist())) == 4


def test_cells_of_many_patches_are_those_of_each():
    indices = np.array([[0, 1023], [33, 64], [5, 700]])
    cells = np.stack(numbers.indices_to_cells(indices.T), axis=1)
    assert cells.tolist() == [list(numbers.from_indices(tuple(row))) for row in indices.tolist()]


@pytest.mark.parametrize("family", FAST)
@given(
    seeds=st.tuples(st.binary(min_size=12, max_size=20), st.binary(max_size=12), st.binary(max_size=9)),
    seed=st.integers(0, 1000),
    joint=st.sampled_from(["", "\n"]),
)
def test_a_known_head_changes_nothing_of_a_damaged_answer(family, seeds, seed, joint):
    texts = well_formed(family, Draws(seeds[0])), well_formed(family, Draws(seeds[1])), *answers(family, 1, seed, ("dog", "cat"))
    for whole in (texts[0] + texts[1], texts[2] + joint + texts[0], texts[2]):
        text = damaged(whole, FRAGMENTS_OF[family], Draws(seeds[2]))
        if is_plain(text, family):
            continue
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json_boxes, "LONG", 0)
            found = parse(text, family)
            patch.setattr(json_boxes, "LONG", len(text))
            patch.setattr(Plain, "head", lambda self, text, limit: ([], 0))
            assert everything(found) == everything(parse(text, family))


def is_plain(text: str, family: str) -> bool:
    """Whether nothing of a text is read by the reader of any text."""
    plain = getattr(grammar_of(family), "plain", None)
    return plain is not None and plain.head(text, space_row(families()[family].space).largest)[1] == len(text)
