"""Parity of result files: what differs, where first, on which sizes, and what cannot be compared."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import run
from evaluated import coco_of, write_json, write_rows
from hypothesis import given
from hypothesis import strategies as st

from groundswift.eval.parity.answers import Sample, WeighedToken
from groundswift.eval.parity.boxes import pairs_of
from groundswift.eval.parity.tokens import first_difference, token_edits

SIZE = (1000, 1000)


def text_of(*boxes: tuple[str, tuple[int, int, int, int]]) -> str:
    return "".join(
        f"<|object_ref_start|>{label}<|object_ref_end|><|box_start|>({x1},{y1}),({x2},{y2})<|box_end|>" for label, (x1, y1, x2, y2) in boxes
    )


def answer(sample_id: int | str, text: str, size_wh: tuple[int, int] = SIZE, logprob: float = -0.1, **more: Any) -> dict[str, Any]:
    """A result row with a token for each character, and the mark of the end."""
    others = [{"token": each, "logprob": logprob - 2} for each in "0123456789"]
    tokens = [{"token": each, "logprob": logprob, "top_logprobs": others} for each in [*text, "<|im_end|>"]]
    messages = [{"role": "user", "content": "<image>Find all."}, {"role": "assistant", "content": text}]
    row = {"sample_id": sample_id, "size_wh": size_wh, "messages": messages, "response": text, "logprobs": {"content": tokens}}
    return {key: value for key, value in (row | more).items() if value is not None}


CAT = text_of(("cat", (100, 100, 300, 300)))


def parity(folder: Path, *files: list[dict[str, Any]], words: tuple[object, ...] = (), code: int = 0) -> tuple[dict[str, Any], str]:
    """(parity.json, what was printed) of these result files, named a, b, c; the first is the reference."""
    options: list[object] = []
    for name, rows in zip("abc", files, strict=False):
        options += ["--result", f"{name}={write_rows(folder / f'{name}.jsonl', rows)}"]
    done = run("parity", *options, "--family", "qwen2_vl", "--out", folder / "out", *words)
    assert done.exit_code == code, done.output
    path = folder / "out" / "parity.json"
    return json.loads(path.read_text()) if path.exists() else {}, done.output


def test_equal_answers_agree(tmp_path):
    rows = [answer(1, CAT), answer("x", "None")]
    found, printed = parity(tmp_path, rows, rows, words=("--tolerance", 0))
    numbers = found["ways"]["b"]["numbers"]
    assert (numbers["agreement"], numbers["same_text"], numbers["box_iou"], numbers["token_error_rate"]) == (1, 1, 1, 0)
    assert (found["agree"], found["ways"]["b"]["different"]) == (True, [])
    assert "reference: a, 2 samples" in printed
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


def test_the_first_difference_has_token_text_and_gap(tmp_path):
    moved = text_of(("cat", (100, 100, 350, 300)))
    found, printed = parity(tmp_path, [answer(1, CAT)], [answer(1, moved, logprob=-0.3)], code=1)
    (different,) = found["ways"]["b"]["different"]
    place = CAT.index("300")
    first = different["first_difference"]
    assert (first["token_index"], first["character"], first["reference"], first["other"]) == (place + 1, place + 1, "0", "5")
    assert first["gap"] == pytest.approx(2)
    assert first["gap_of_other"] == pytest.approx(2)
    assert different["token_edits"] == 1
    assert different["box_iou"] == pytest.approx(200 / 250)
    assert different["drift"] == {"largest": pytest.approx(0.2), "token_index": 0, "token": "<", "difference": pytest.approx(0.2)}
    assert f"token {place + 1}: '5' instead of '0'" in printed
    assert "log-probability gap 2.000" in printed
    assert "b differs from a: agreement 0.800 is below 1" in printed


def test_equal_texts_show_where_log_probabilities_drift(tmp_path):
    other = answer(1, CAT)
    other["logprobs"]["content"][4]["logprob"] -= 0.5
    found, printed = parity(tmp_path, [answer(1, CAT)], [other])
    assert found["ways"]["b"]["numbers"]["logprob_difference"] == pytest.approx(0.5)
    assert f"token 4 {CAT[4]!r} by 0.5000" in printed


def test_a_shift_that_grows_with_the_size_shows_by_size_and_is_not_averaged_away(tmp_path):
    sizes = [(448, 448)] * 20 + [(4000, 1000)]
    reference = [answer(n, CAT, size) for n, size in enumerate(sizes)]
    shifted = text_of(("cat", (150, 100, 350, 300)))
    other = [answer(n, shifted if size[0] == 4000 else CAT, size) for n, size in enumerate(sizes)]
    found, printed = parity(tmp_path, reference, other, words=("--tolerance", 0.05), code=1)
    way = found["ways"]["b"]
    assert way["numbers"]["agreement"] > 0.95
    assert way["numbers"]["same_first_token"] == 1
    wide = way["by_size"]["over 2048 px, wide"]
    assert (wide["samples"], wide["shift_x_px"], wide["shift_y_px"], wide["wider_px"]) == (1, 200, 0, 0)
    assert wide["shift_x_percent"] == pytest.approx(5)
    assert way["by_size"]["up to 512 px"]["agreement"] == 1
    assert "b, over 2048 px, wide" in printed


def test_average_precision_of_each_way_on_the_compared_images_at_their_own_size(tmp_path):
    truth = write_json(tmp_path / "gt.json", coco_of(SIZE, [(1, 1, [100, 100, 200, 200]), (2, 1, [0, 0, 50, 50])], range(1, 5)))
    large = {"size_wh": (2000, 500), "parity_size": "2000x500"}
    rows = [answer(1, CAT), answer(1, CAT, **large)]
    wrong = [answer(1, CAT), answer(1, text_of(("cat", (500, 500, 600, 600))), **large)]
    found, _ = parity(tmp_path, rows, wrong, words=("--gt", truth), code=1)
    assert found["ways"]["a"]["numbers"]["AP"] == pytest.approx(1)
    assert found["ways"]["a"]["by_size"]["2000x500"]["AP"] == pytest.approx(1)
    assert found["ways"]["b"]["by_size"]["2000x500"]["AP"] == 0
    assert found["ways"]["b"]["numbers"]["AP"] == pytest.approx(0.505, abs=0.01)


def test_answers_without_log_probabilities_are_compared_by_characters(tmp_path):
    found, printed = parity(tmp_path, [answer(1, CAT)], [answer(1, CAT.replace("cat", "cap"), logprobs=None)], code=1)
    (different,) = found["ways"]["b"]["different"]
    assert different["first_difference"]["token_index"] is None
    assert (different["first_difference"]["character"], found["ways"]["b"]["numbers"]["token_error_rate"]) == (CAT.index("t<"), None)
    assert "b: 1 answer without tokens" in printed


def test_texts_without_a_family_are_compared_and_boxes_are_not(tmp_path):
    files = [write_rows(tmp_path / f"{name}.jsonl", [answer(1, text, size_wh=None)]) for name, text in (("a", "a dog"), ("b", "a dog"))]
    done = run("parity", "--result", f"a={files[0]}", "--result", f"b={files[1]}", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "boxes were not compared" in done.output


def test_blind_answers_say_what_a_model_knows_without_looking(tmp_path):
    rows = [answer(1, CAT), answer(2, text_of(("cat", (0, 0, 50, 50))))]
    truth = write_json(tmp_path / "gt.json", coco_of(SIZE, [(1, 1, [100, 100, 200, 200]), (2, 1, [0, 0, 50, 50])], (1, 2)))
    blind = write_rows(tmp_path / "blind.jsonl", [answer(1, CAT), answer(2, CAT)])
    found, printed = parity(tmp_path, rows, rows, words=("--blind-result", f"b={blind}", "--gt", truth))
    assert found["blind"]["b"]["same_text"] == 0.5
    assert found["blind"]["b"]["AP"] < found["ways"]["b"]["numbers"]["AP"] == pytest.approx(1)
    assert "blind control" in printed


def test_a_way_that_does_not_get_the_images_is_named(tmp_path):
    rows = [answer(n, text_of(("cat", (n, n, 300, 300)))) for n in range(4)]
    blind = [answer(n, CAT) for n in range(4)]
    file = write_rows(tmp_path / "blind.jsonl", blind)
    found, printed = parity(tmp_path, rows, blind, rows, words=("--blind-result", f"a={file}"), code=1)
    assert found["same_as_blind"] == {"a": 0, "b": 1, "c": 0}
    assert "b: 100% of its answers are those of a to blanked images" in printed
    assert "c: 100%" not in printed


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ([answer(1, CAT)], "way b has no answer to sample '2' at 1000x1000 px; expected an answer to each row that a answered"),
        ([answer(7, CAT), answer(8, CAT)], "no sample in common"),
        ([answer(1, CAT), answer(2, CAT, (500, 500))], "its row of this sample has another size"),
        ([answer(1, CAT), answer(2, CAT, messages=[])], "its row of this sample has another question"),
        ([answer(1, CAT), answer(2, CAT, error="image-unreadable")], r"no answer to sample '2' .*\(image-unreadable\)"),
        ([answer(1, CAT), answer(2, CAT, logprob=3.0)], "b.jsonl:2: log-probability 3.0"),
        ([answer(1, CAT), answer(None, CAT)], "b.jsonl:2: the row has no sample_id"),
        ([answer(1, CAT), answer(2, CAT, size_wh=None)], "b.jsonl:2: the row has no size_wh"),
        ([answer(1, CAT), answer(2, CAT, response=None)], "b.jsonl:2: the row has no response"),
        ([answer(1, CAT), answer(2, CAT, logprobs={"content": [{"token": 1}]})], "b.jsonl:2: not a row"),
    ],
    ids=["missing", "other-ids", "size", "question", "failed", "logprob", "id", "size-missing", "response", "tokens"],
)
def test_what_cannot_be_compared_is_refused_in_words(tmp_path, other, message):
    _, printed = parity(tmp_path, [answer(1, CAT), answer(2, CAT)], other, code=1)
    assert "Traceback" not in printed
    assert re.search(message, printed), printed


def test_with_on_error_skip_the_rest_is_compared_and_counted(tmp_path):
    rows = [answer(n, CAT) for n in range(4)]
    other = [answer(0, CAT), answer(1, CAT, response=None), answer(2, CAT, error="too long"), answer(0, "None")]
    found, printed = parity(tmp_path, rows, other, words=("--on-error", "skip"))
    assert (found["samples"], found["answers_missing"]) == (1, {"a": 0, "b": 3})
    assert found["rows_left_out"]["b"] == {"response-missing": 1, "row-duplicate": 1}
    assert "b: 3 answers missing" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--reference", "c"), "unknown way 'c'"),
        (("--blind-result", "c=x"), "unknown way 'c'"),
        (("--result", "a=x"), "expected different names"),
        (("--result", "nothing"), "expected NAME=VALUE"),
        (("--result", "c=nowhere.jsonl"), "nowhere.jsonl: cannot be read"),
    ],
)
def test_wrong_use_is_refused(tmp_path, words, message):
    done = run(
        "parity", *(f"--result={name}={write_rows(tmp_path / name, [answer(1, CAT)])}" for name in "ab"), "--out", tmp_path / "o", *words
    )
    assert done.exit_code in (1, 2)
    assert message in done.output


def sample(text: str, *boxes: tuple[str, list[float]]) -> Sample:
    labels, found = [label for label, _ in boxes], np.array([box for _, box in boxes], dtype=float).reshape(-1, 4)
    return Sample(1, "", SIZE, "", text, False, [WeighedToken(each, -0.1) for each in text], [], "ok", found, labels)


@given(st.text("ab", max_size=12), st.text("ab", max_size=12))
def test_the_first_difference_is_the_end_of_the_common_beginning(one, other):
    found = first_difference(sample(one), sample(other))
    if one == other:
        assert found is None
    else:
        assert one[: found.token_index] == other[: found.token_index]
        assert (one[found.token_index :][:1], other[found.token_index :][:1]) == (found.reference, found.other)
        assert found.reference != found.other
    assert (token_edits(sample(one), sample(other)) == 0) == (one == other)


BOX = st.tuples(
    st.sampled_from("ab"), st.lists(st.integers(0, 9), min_size=4, max_size=4).map(lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]])
)


@given(st.lists(BOX, max_size=6), st.randoms())
def test_boxes_in_another_order_are_the_same_boxes(boxes, rng):
    shuffled = rng.sample(boxes, len(boxes))
    pairs = pairs_of(sample("", *boxes), sample("", *shuffled))
    assert (pairs.missing, pairs.extra) == (0, 0)
    with_area = [box for _, box in boxes if box[0] < box[2] and box[1] < box[3]]
    assert np.count_nonzero(pairs.iou > 0.999) >= len(with_area)


@given(st.lists(BOX, max_size=6), st.lists(BOX, max_size=6))
def test_pairs_are_symmetric_and_of_one_label(one, other):
    first, second = sample("", *one), sample("", *other)
    there, back = pairs_of(first, second), pairs_of(second, first)
    assert (there.missing, there.extra) == (back.extra, back.missing)
    assert all(first.labels[a] == second.labels[b] for a, b in zip(there.of_reference, there.of_other, strict=True))
    assert len(there.all_iou) == len(there.iou) + there.missing + there.extra
