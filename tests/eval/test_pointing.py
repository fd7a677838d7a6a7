"""Pointing: points in boxes and masks by hand and written out, and `groundswift eval pointing` as a user calls it."""

from __future__ import annotations

import json
import math
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
from evaluated import call, write_json, write_rows
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from groundswift import Located, families, format_answer, from_original_px, resized_wh
from groundswift.eval.answers.point_rows import decoded, on_masks
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.metrics.one_answer import OneTruth
from groundswift.eval.metrics.pointing import RULES, Pointing, in_boxes, point_in_box
from groundswift.eval.several_boxes import SEVERAL, fit_of_hits

SIZE, DIAGONAL = (400, 300), 500
BOX, OTHER = [100, 100, 200, 200], [300, 0, 380, 60]
IN, OUT, IN_OTHER = (150, 150), (10, 10), (340, 30)


def said(*points):
    """Points in px as Molmo writes them: percent with one decimal."""
    return format_answer([Located("it", None, (x / 4, y / 3)) for x, y in points], "molmo")


def row(number, targets, response, **more):
    return {
        "messages": [{"role": "user", "content": f"<image>Point to thing {number}."}],
        "images": [f"images/{number}.jpg"],
        "objects": {"ref": [], "bbox": list(targets), "bbox_type": "real"},
        "labels": "<bbox>" * len(targets) or "None",
        "sample_id": f"points/{number}",
        "size_wh": list(SIZE),
        "response": response,
        **more,
    }


def scored(path, rows, *words, family="molmo", code=0):
    done = call("pointing", write_rows(path / "r.jsonl", rows), "--family", family, "--json", *words, code=code)
    return json.loads(done.stdout) if code == 0 else done.stderr


@pytest.mark.parametrize(
    ("targets", "points", "in_box", "distance"),
    [
        pytest.param([BOX], [IN], 1, 0, id="the centre"),
        pytest.param([BOX], [(100, 180)], 1, math.hypot(50, 30) / DIAGONAL, id="on the border"),
        pytest.param([BOX], [OUT], 0, math.hypot(140, 140) / DIAGONAL, id="outside"),
        pytest.param([BOX], [IN, OUT], 1, 0, id="the first of two"),
        pytest.param([BOX], [OUT, IN], 0, math.hypot(140, 140) / DIAGONAL, id="the second of two"),
        pytest.param([BOX, OTHER], [IN_OTHER, IN], 1, None, id="two of two, in any order"),
        pytest.param([BOX, OTHER], [IN, IN], 0, None, id="twice the same of two"),
        pytest.param([BOX, OTHER], [IN, IN_OTHER, OUT], 0, None, id="one over"),
        pytest.param([[150, 190]], [IN], None, 40 / DIAGONAL, id="a true point has a distance only"),
    ],
)
def test_one_answer(tmp_path, targets, points, in_box, distance):
    found = scored(tmp_path, [row(1, targets, said(*points))])
    assert found["in_box"] == in_box
    assert found["distance"] == (None if distance is None else pytest.approx(distance, abs=1e-3))
    assert found["in_mask"] is None


@pytest.mark.parametrize(("response", "right"), [("None", 1), ("", 1), ("I see it on the left", 0), (said(IN), 0), ("没有", 0)])
def test_nothing_to_point_at(tmp_path, response, right):
    found = scored(tmp_path, [row(1, [], response)])
    assert (found["acc_none"], found["in_box"], found["distance"]) == (right, right, None)


@pytest.mark.parametrize(("several", "right", "distance"), [("first", 0, 140), ("any", 1, 0), ("all", 0, 140), ("hungarian", 0, 140)])
def test_which_of_several_points_counts_is_declared(tmp_path, several, right, distance):
    found = scored(tmp_path, [row(1, [BOX], said(OUT, IN))], "--several", several)
    assert found["in_box"] == right
    assert found["distance"] == pytest.approx(distance * math.sqrt(2) / DIAGONAL, abs=1e-3)
    assert found["protocol"]["several_points"] == RULES[several]


def written_out(hits, several, says_none):
    """(right, F1) by trying every way to give points to targets."""
    count, wanted = hits.shape
    if not wanted:
        return says_none, float(says_none)
    if wanted == 1 and several in ("first", "any"):
        right = any(hits[:1, 0]) if several == "first" else any(hits[:, 0])
        return right, float(right)
    table = hits if count <= wanted else hits.T
    matched = max(sum(table[one, other] for one, other in enumerate(way)) for way in permutations(range(max(hits.shape)), len(table)))
    right = count > 0 and all(hits[:, 0]) if wanted == 1 and several == "all" else count == wanted == matched
    return right, 2 * matched / (count + wanted)


@given(st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(lambda shape: arrays(bool, shape)), st.sampled_from(SEVERAL), st.booleans())
def test_any_hits_as_written_out(hits, several, says_none):
    assert fit_of_hits(hits, several, says_none) == pytest.approx(written_out(hits, several, says_none))


@given(st.lists(st.tuples(st.integers(-2, 12), st.integers(-2, 12)), max_size=5))
def test_points_in_boxes_one_by_one(points):
    boxes = [[0, 0, 5, 5], [5, 2, 10, 9], [3, 3, 3, 3]]
    expected = [[x1 <= x <= x2 and y1 <= y <= y2 for x1, y1, x2, y2 in boxes] for x, y in points]
    assert in_boxes(np.array(points, dtype=float).reshape(-1, 2), boxes).tolist() == expected


TRIANGLE = [100, 100, 200, 100, 100, 200]


def masks(path, segmentation=None, **image):
    annotation = {"id": 1, "image_id": 5, "bbox": [100, 100, 100, 100], "segmentation": segmentation or [TRIANGLE]}
    of_image = {"id": 5, "file_name": "train/1.jpg", "width": SIZE[0], "height": SIZE[1], **image}
    return write_json(path / "masks.json", {"images": [of_image], "annotations": [annotation], "categories": []})


def run_lengths(mask):
    """Run lengths of a mask, by columns, from zeros on."""
    flat = [0, *np.asarray(mask).T.reshape(-1).astype(int).tolist()]
    changes = [place for place in range(1, len(flat)) if flat[place] != flat[place - 1]]
    ends = [0, *(place - 1 for place in changes), len(flat) - 1]
    return [after - before for before, after in zip(ends, ends[1:], strict=False)]


@pytest.mark.parametrize(("point", "in_mask"), [((120, 120), 1), ((190, 190), 0), ((50, 120), 0), ((150, 140), 1)])
@pytest.mark.parametrize("kind", ["polygon", "run lengths", "compressed"])
def test_masks(tmp_path, point, in_mask, kind):
    from hotcoco import mask

    segmentation = [TRIANGLE]
    if kind != "polygon":
        whole = decoded(segmentation, *SIZE, "x")
        segmentation = {"counts": run_lengths(whole), "size": list(SIZE[::-1])}
        if kind == "compressed":
            segmentation = {"size": segmentation["size"], "counts": mask.frPyObjects(segmentation, *SIZE[::-1])["counts"].decode()}
    found = scored(tmp_path, [row(1, [BOX], said(point))], "--masks", masks(tmp_path, segmentation))
    assert (found["in_mask"], found["in_box"]) == (in_mask, float(point != (50, 120)))
    assert found["counts"]["with_mask"] == 1
    assert len(found["protocol"]["masks_sha256"]) == 64


def test_masks_as_pycocotools():
    tools = pytest.importorskip("pycocotools.mask")
    random = np.random.default_rng(0)
    for _ in range(20):
        rings = [random.uniform(0, 60, 2 * random.integers(3, 7)).tolist() for _ in range(random.integers(1, 3))]
        expected = tools.decode(tools.merge(tools.frPyObjects(rings, 50, 60)))
        assert np.array_equal(decoded(rings, 60, 50, "x"), expected.astype(bool))


def test_a_point_on_the_border_of_the_image_is_in_its_last_pixel():
    mask = np.zeros((3, 4), dtype=bool)
    mask[2, 3] = True
    points = np.array([[4, 3], [3.5, 2.5], [4.1, 3], [-1, 0], [2.9, 2]])
    assert on_masks(points, [mask])[:, 0].tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("segmentation", "image", "said_of_it"),
    [
        ([[1, 1, 5, 5]], {}, "a ring that is not a polygon"),
        ([[1, 1, 5, 5, 9]], {}, "a ring that is not a polygon"),
        ([["a"] * 6], {}, "a segmentation cannot be read"),
        ({"counts": [3], "size": [300, 400]}, {}, "run lengths of size"),
        ({"counts": [10**13], "size": [10**9, 10**4]}, {}, "run lengths of size"),
        ({"counts": "zz%", "size": [300, 400]}, {}, "a segmentation cannot be read"),
        ({"size": [300, 400]}, {}, "a segmentation cannot be read"),
        (7, {}, "a segmentation cannot be read"),
        (None, {"width": 300, "height": 400}, "is (300, 400) px, sample points/1 says (400, 300)"),
        (None, {"file_name": "2.jpg"}, "no question has a mask in it"),
        (None, {"id": None}, "Expected `int | str`"),
    ],
)
def test_masks_that_cannot_be_used(tmp_path, segmentation, image, said_of_it):
    message = scored(tmp_path, [row(1, [BOX], said(IN))], "--masks", masks(tmp_path, segmentation, **image), code=1)
    assert message.startswith(f"error: {tmp_path / 'masks.json'}: ")
    assert said_of_it in message


def test_two_images_of_one_name(tmp_path):
    file = json.loads(masks(tmp_path).read_text())
    file["images"].append({**file["images"][0], "id": 6, "file_name": "val/1.jpg"})
    path = write_json(tmp_path / "masks.json", file)
    assert "two images are named '1.jpg'" in scored(tmp_path, [row(1, [BOX], said(IN))], "--masks", path, code=1)


def boxed(box, family="qwen2_vl"):
    (x1, y1, x2, y2), (width, height) = box, SIZE
    return format_answer([Located("it", (x1 / width * 1000, y1 / height * 1000, x2 / width * 1000, y2 / height * 1000))], family)


def test_boxes_count_only_where_that_is_declared(tmp_path):
    rows = [row(1, [BOX], boxed([110, 110, 150, 190])), row(2, [BOX], boxed([0, 0, 9, 9]))]
    skipped = scored(tmp_path, rows, family="qwen2_vl")
    assert (skipped["in_box"], skipped["distance"], skipped["counts"]["dropped"]) == (0, None, {"box-not-point": 2})
    assert skipped["warnings"][0]["id"] == "boxes-not-points"
    counted = scored(tmp_path, rows, "--boxes", "centre", family="qwen2_vl")
    assert (counted["in_box"], counted["warnings"], counted["counts"]["dropped"]) == (0.5, [], {})
    assert counted["protocol"]["boxes"] == "a box counts as the point at its centre"


@pytest.mark.parametrize("family", [name for name, family in families().items() if family.points])
def test_right_points_of_every_family_are_right(tmp_path, family):
    rows, targets = [], [[40, 30, 80, 60], [200, 90, 260, 150], [300, 200, 399, 299]]
    sized = families()[family].space == "resized_px"
    resized = resized_wh(SIZE, family) if sized else None
    for number, (x1, y1, x2, y2) in enumerate(targets):
        centre = [(x1 + x2) / 2, (y1 + y2) / 2] * 2
        placed = from_original_px([centre], family, SIZE, resized)[0].tolist()
        rows.append(row(number, [targets[number]], format_answer([Located("it", None, (placed[0], placed[1]))], family)))
    limits = ("--min-pixels", "default", "--max-pixels", "default", "--first-max-pixels", "default") if sized else ()
    found = scored(tmp_path, rows, *limits, family=family)
    assert found["in_box"] == 1, rows[0]["response"]
    assert found["distance"] < 0.02


ROWS = [
    row(1, [BOX], said(IN), split="val"),
    row(2, [BOX, OTHER], said(IN, IN_OTHER), split="val"),
    row(3, [BOX], said(OUT), split="testA"),
    row(4, [BOX], "I cannot see it", split="testA"),
    row(5, [BOX], None, error="5.jpg: not a readable image [image-unreadable]", split="testA"),
]


def test_the_command(tmp_path):
    done = call("pointing", write_rows(tmp_path / "r.jsonl", ROWS), "--family", "molmo", "--out", tmp_path / "out")
    for line in (
        "point in box         0.400  [0.000, 0.800]",
        "the first point of an answer counts; a box is not a point: dropped and counted",
        "samples: 5, 2 right; answers: 3 ok, 1 unreadable, 1 missing",
        "2 without a point, 1 with several",
        "testA: samples 3, in_box 0.000",
    ):
        assert line in done.stdout
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert {name: group["in_box"] for name, group in run["metrics"]["per_class"].items()} == {"testA": 0, "val": 1}
    assert [image["values"]["in box"] for image in run["images"]] == ["yes", "yes", "no", "no", "no"]
    assert run["images"][0]["predicted"] == [
        {"label": "it", "box_xyxy_px": [147.5, 147.5, 152.5, 152.5], "outcome": "true_positive", "score": None}
    ]


def test_no_order_of_rows_changes_a_bit(tmp_path):
    random = np.random.default_rng(0)
    rows = ROWS + [row(n, [BOX], said((90 + 2 * n, 120))) for n in range(10, 40)]
    file = masks(tmp_path, image_id=5)

    def numbers(rows):
        found = scored(tmp_path, rows, "--masks", file)
        return json.dumps([{key: found[key] for key in found if key != "protocol"}, found["protocol"]["truth_sha256"]])

    first = numbers(rows)
    for _ in range(3):
        assert numbers([rows[place] for place in random.permutation(len(rows))]) == first


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"objects": None, "labels": "x"}, "true-box-missing"),
        ({"objects": {"bbox": [[1, 2, 3]]}}, "box-length"),
        ({"objects": {"bbox": [[10, None]]}}, "true-point-invalid"),
        ({"objects": {"bbox": [[10, 301]]}}, "true-point-invalid"),
        ({"objects": {"bbox": [[0.5, 1.2]], "bbox_type": "norm1"}}, "true-point-invalid"),
        ({"size_wh": None}, "size-missing"),
        ({"response": None}, "response-missing"),
    ],
)
def test_a_row_that_cannot_be_scored(tmp_path, more, reason):
    rows = [ROWS[0], row(7, [BOX], said(IN)) | more]
    assert scored(tmp_path, rows, code=1).startswith(f"error: {tmp_path / 'r.jsonl'}:2: ")
    assert scored(tmp_path, rows, "--on-error", "skip")["counts"]["rows_left_out"] == {reason: 1}


def test_rows_without_targets_are_refused(tmp_path):
    assert "no row has a box or point to score" in scored(tmp_path, [], code=1)


@pytest.mark.parametrize(
    ("text", "boxes", "truncated", "reward"),
    [
        (said(IN), [BOX], False, 1),
        (said(OUT, IN), [BOX], False, 0),
        (said(IN_OTHER), [BOX, OTHER], False, 1),
        ("no idea", [BOX], False, 0),
        ("no idea", [], False, 0),
        ("", [], False, 1),
        ("", [], True, 0),
        (said(IN), [], False, 0),
    ],
)
def test_the_reward(text, boxes, truncated, reward):
    assert point_in_box(text, OneTruth(SIZE, [""] * len(boxes), boxes, False), Rules("molmo"), truncated) == reward


def test_rows_in_memory_as_training_has_them():
    rows = [SimpleNamespace(size_wh=SIZE, labels=[""], boxes_xyxy_px=[BOX]) for _ in range(2)]
    found = Pointing().score_rows([said(IN), said(OUT)], rows, Rules("molmo")).summary
    assert (found["in_box"], found["acc_none"]) == (0.5, None)
