"""The rules of other evaluators by hand-made figures; `benchmarks/protocols.py` compares them with their authors' code."""

from __future__ import annotations

import json
import time

import pytest
from evaluated import call, coco_of, metrics_of, write_json, write_rows
from hypothesis import given
from hypothesis import strategies as st

from groundswift import families
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.to_boxes import predictions_from_answers, reader_of
from groundswift.eval.ground_truth import truth_from_rows
from groundswift.eval.metrics.coco_map import evaluate
from groundswift.eval.protocols.base import Stops
from groundswift.eval.protocols.card import RULES, card, case_of, summary_of, table_of
from groundswift.eval.protocols.decode_ceiling import cells_of, perfect_case
from groundswift.eval.protocols.findit import normalised, read_json, read_text
from groundswift.eval.protocols.lmms_eval import read_grounding, read_odinw
from groundswift.eval.protocols.published import BY_ID, FIGURES
from groundswift.eval.protocols.rex_omni import read_locate_anything, read_rex_omni
from groundswift.eval.protocols.vlmevalkit import read_grounding_me
from groundswift.image_resize import Limits

SIZE = (1000, 1000)
A, B, FAR = [100, 100, 300, 300], [500, 500, 700, 700], [800, 100, 900, 200]


def json_answer(*objects, key="bbox_2d"):
    return json.dumps([{key: box, "label": label} for label, box in objects])


def case(images, family="qwen3_vl", classes=("cat", "dog")):
    """A case of images of 1000 x 1000 px, each (objects of the truth, text of the answer)."""
    rules = Rules(family, limits=Limits())
    rows = [(n, SIZE, [label for label, _ in objects], [box for _, box in objects]) for n, (objects, _) in enumerate(images)]
    truth = truth_from_rows(rows, list(classes))
    answers = predictions_from_answers([(n, SIZE, text) for n, (_, text) in enumerate(images) if text is not None], truth, rules)
    return case_of(answers, truth, rules, lambda *columns: evaluate(*columns).summary)


def numbers(rule, *images, placed=True, **more):
    return RULES[rule].numbers_of(case(images, **more), placed)[0]


def both(*objects):
    """An image whose answer is as its truth."""
    return list(objects), json_answer(*objects)


def test_every_rule_says_itself_in_one_line_and_where_it_comes_from():
    for rule in RULES.values():
        assert "\n" not in rule.line
        assert rule.line.endswith(".")
        assert rule.source.startswith("https://github.com/")
        assert rule.switches
        assert rule.numbers


def test_perfect_answers_have_one_under_every_rule_on_placed_boxes():
    scored = card(case([both(("cat", A)), both(("dog", B), ("cat", A)), both()]))
    assert {key: value for key, value in summary_of(scored).items() if "placed" in key and value != pytest.approx(1)} == {}
    assert [each.images for each in scored] == [3, 3, 3, 3, 3, 3, 1, 1, 1, 2]


def test_coco_with_copies_kept_counts_them_as_false():
    image = [("cat", A), ("cat", B)], json_answer(("cat", A), ("cat", A), ("cat", B))
    assert numbers("coco", image)["AP"] == pytest.approx(1)
    assert numbers("coco-copies", image)["AP"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_rex_omni_matches_swapped_labels_and_averages_before_f1():
    swapped = [("cat", A), ("dog", B)], json_answer(("dog", A), ("cat", B))
    assert numbers("rex-omni", swapped)["F1"] == 1
    assert numbers("findit", swapped)["F1_50"] == 0
    half = [("cat", A), ("cat", B)], json_answer(("cat", A))  # P 1, R 0.5
    nothing = [("cat", A)], json_answer(("cat", FAR))
    found = numbers("rex-omni", half, nothing)
    assert (found["P_50"], found["R_50"], found["F1_50"]) == (0.5, 0.25, pytest.approx(1 / 3))
    assert numbers("rex-omni", ([], "[]"), ([], json_answer(("cat", A))))["F1_50"] == 0.5


def test_rex_omni_takes_the_mean_of_ten_thresholds_and_no_box_of_an_absent_class():
    found = numbers("rex-omni", ([("cat", [0, 0, 100, 100])], json_answer(("cat", [0, 0, 100, 78]))))
    assert (found["F1_50"], found["F1_95"], found["F1"]) == (1, 0, pytest.approx(0.6))
    assert numbers("rex-omni", ([("cat", A)], json_answer(("zebra", A))))["R_50"] == 0


def test_rex_omni_counts_boxes_of_absent_classes_in_precision_only_and_skips_an_image_with_a_point():
    image = [("cat", A)], json_answer(("cat", A), ("zebra", B))
    assert [numbers("rex-omni", image)[key] for key in ("P_50", "R_50")] == [0.5, 1]
    whole, point = MARKED.format("cat", "<100><100><300><300>"), MARKED.format("cat", "<100><100>")
    images = ([("cat", [100.1, 100.1, 300.3, 300.3])], whole), ([("cat", A)], point)
    assert numbers("rex-omni", *images, family="rex_omni", placed=False)["R_50"] == 1
    assert numbers("rex-omni", images[1], family="rex_omni", placed=False)["R_50"] is None


MARKED = "<|object_ref_start|>{}<|object_ref_end|><|box_start|>{}<|box_end|>"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (MARKED.format(" cat ", "<0><0><999><999>"), {"cat": [[0, 0, 200, 100]]}),
        (MARKED.format("cat", "<0><0><999><999>, <0")[:-11], {"cat": [[0, 0, 200, 100]]}),
        (MARKED.format("cat", "<0>\n<0><999><999>"), {"cat": [[0, 0, 200, 100]]}),  # cut at the line, then read as cut
        (MARKED.format("cat", "<0>\n<0><9><9>") * 2, {}),
        (MARKED.format("cat", "<999><999><0><0>"), {"cat": [[200, 100, 0, 0]]}),
        ("<|object_ref_start|>cat<|object_ref_end|>", {}),
        ("[[1, 2, 3, 4]]", {}),
    ],
)
def test_rex_omni_reads_bins(text, found):
    assert read_rex_omni(text, (200, 100)) == {label: [pytest.approx(box) for box in boxes] for label, boxes in found.items()}


def test_locate_anything_orders_corners_and_clips_to_the_last_pixel():
    text = "<ref>cat</ref><box><1000><500><0><0></box><box><0><0><500><1000></box><ref>dog</ref> <box><1><2><3><4></box>"
    assert read_locate_anything(text, (200, 100)) == {"cat": [[0, 0, 199, 50], [0, 0, 100, 99]]}


def test_findit_weighs_labels_over_iou_and_counts_all_boxes_at_once():
    near = [("cat", A), ("dog", [110, 100, 310, 300])], json_answer(("dog", A), ("cat", [110, 100, 310, 300]))
    found = numbers("findit", near)
    assert found["F1_50"] == 1
    assert found["mIoU"] == pytest.approx(190 / 210)
    half = [("cat", A), ("cat", B)], json_answer(("cat", A))
    nothing = [("cat", A)], json_answer(("cat", FAR))
    found = numbers("findit", half, nothing)
    assert (found["P_50"], found["R_50"], found["mIoU"]) == (pytest.approx(1 / 2), pytest.approx(1 / 3), pytest.approx(1 / 3))


@pytest.mark.parametrize(
    ("text", "boxes", "adheres"),
    [
        (json_answer(("cat", A)), 1, True),
        (f"Here:\n```json\n{json_answer(('cat', A))}\n```", 1, True),
        ("[]", 0, True),
        ('[{"bbox_2d": [1, 2, 3], "label": "cat"}, {"bbox_2d": [1, 2, 3, 4]}]', 1, False),
        ('[{"bbox_2d": [1, 2, 3, 4]}', 0, False),
        ("none", 0, False),
    ],
)
def test_findit_keeps_whole_boxes_of_an_answer_that_does_not_adhere(text, boxes, adheres):
    found = read_json(text, "bbox_2d", several=True)
    assert (len(found.found), found.adheres) == (boxes, adheres)


def test_findit_reads_text_and_stops_where_its_code_does():
    assert read_text("cat: [1, 2, 3.5, 4], a dog : [5,6,7,8]", several=True).found == [("cat", (1, 2, 3.5, 4)), (", a dog", (5, 6, 7, 8))]
    assert read_text("<|begin_of_box|>[[1,2,3,4]]<|end_of_box|>[5,6,7,8]", several=False) == ([(None, (1, 2, 3, 4))], True)
    assert read_text("[ ]", several=False) == ([], True)
    assert normalised(", A  Dog!") == "a dog"
    with pytest.raises(Stops, match="SyntaxError at the number 021"):
        read_text("[021, 2, 3, 4]", several=False)
    with pytest.raises(Stops, match="TypeError at an answer that is null"):
        read_json("null", "bbox_2d", several=False)


def test_lmms_odinw_takes_whatever_space_fits_the_truth():
    truth = [("cat", [100, 100, 300, 300])]
    images = [(truth, json_answer(("Cat ", box))) for box in ([0.1, 0.1, 0.3, 0.3], [100, 100, 300, 300])]
    assert numbers("lmms-odinw13", *images, placed=False)["acc_50"] == 1
    assert read_odinw('[{"bbox": [1, 2, 3, 4]}, {"box": [5, 6, 7, 8], "class": "dog"}]') == [("dog", [5, 6, 7, 8]), (None, [1, 2, 3, 4])]
    assert read_odinw('cut {"a": {"bbox": [1, 2, 3, 4], "name": "cat"}} {"bbox"') == [("cat", [1, 2, 3, 4])]
    assert read_odinw("1 2, 3  -4.5 and 5") == [(None, [1, 2, 3, -4.5])]
    with pytest.raises(Stops, match="ValueError"):
        read_odinw('{"bbox": [1, 2, 3, "x"]}')


def test_rules_of_one_box_take_images_with_one_object():
    images = [([("cat", A)], "[0.1, 0.1, 0.3, 0.3]"), both(("cat", A), ("cat", B))]
    assert numbers("lmms-refcoco-rec", *images, placed=False) == {"acc_50": 1, "mIoU": pytest.approx(1)}
    assert numbers("lmms-refcoco-rec", images[1], placed=False) == {"acc_50": None, "mIoU": None}
    many = [("cat", A)], json_answer(("cat", FAR), ("cat", A))
    assert numbers("lmms-refcoco-grounding", many, placed=False)["acc_50"] == 1
    assert numbers("vlmevalkit-refcoco", many, placed=False)["acc_50"] == 0
    assert read_grounding('{"x": [[1, 2, 3, 4], {"coord": ["5", "6", 7, 8]}]}') == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    ("text", "iou"),
    [
        ("[0.1 0.1 0.3 0.3]", 1),
        ("(100,100),(300,300)", 1),
        ("[300, 300, 100, 100]", 1),
        ("[100, 100, 3000, 300]", 200 / 900),
        ("no 1 2 3", 0),
    ],
)
def test_vlmevalkit_refcoco_guesses_the_space(text, iou):
    assert numbers("vlmevalkit-refcoco", ([("cat", A)], text), placed=False)["mIoU"] == pytest.approx(iou)


def test_vlmevalkit_groundingme_takes_what_it_cannot_read_as_a_rejection():
    images = [([], "I cannot see it."), ([], '{"bbox_2d": null}'), ([], json_answer(("cat", A))), ([("cat", A)], "100 100 300 300")]
    assert numbers("vlmevalkit-groundingme", *images, placed=False)["acc_50"] == 0.75
    assert read_grounding_me("1 2 3 4 then 5,6,7,8") == [5, 6, 7, 8]


@given(st.text(alphabet='[]{}(),.:-0123456789 "\nacbox_2d<>|`', max_size=60))
def test_no_text_ends_in_an_exception(text):
    scored = card(case([([("cat", A)], text)], "rex_omni"))
    assert [each.rule.id for each in scored] == list(RULES)
    assert all(value is None or -1e-9 <= value <= 1 for value in summary_of(scored).values())


@pytest.mark.parametrize("part", [*"[{1", "[ ", "1 ", "a:", "```", '{"bbox_2d"', "<|begin_of_box|>", "<ref>a</ref><box>", MARKED[:-11]])
def test_reading_takes_time_linear_in_the_text(part):
    found = case([([("cat", A)], "None")], "rex_omni")
    sample = found.samples[0]._replace(text=part * (300_000 // len(part)))
    start = time.process_time()
    for rule in RULES.values():
        if rule.read is not None:
            rule.read(sample, found)
    assert time.process_time() - start < 5


def test_the_command_prints_the_card_and_writes_its_numbers(tmp_path):
    truth = write_json(tmp_path / "gt.json", coco_of(SIZE, [(1, 1, [100, 100, 200, 200])], [1, 2]))
    rows = [{"sample_id": 1, "response": json_answer(("cat", A))}, {"sample_id": 2, "response": "null"}]
    result = write_rows(tmp_path / "result.jsonl", rows)
    done = call("protocols", result, "--gt", truth, "--family", "qwen3_vl")
    for rule in RULES.values():
        assert f"{rule.title}: {rule.line}\n" in done.stdout
    assert "  its code stops: TypeError at an answer that is null\n" in done.stdout
    shown = json.loads(call("protocols", result, "--gt", truth, "--family", "qwen3_vl", "--json").stdout)
    assert (shown["coco.AP"], shown["rex-omni.F1_50"], shown["rex-omni.placed.F1_50"]) == (pytest.approx(1), 0.5, 1)
    assert (shown["findit.F1_50"], shown["findit.placed.F1_50"]) == (None, 1)
    assert shown["counts"]["images_by_rule"]["lmms-refcoco-rec"] == 1
    assert any(line.startswith("findit: F1 at 0.5") and "matching: Hungarian" in line for line in shown["protocol"]["rules"])


@pytest.mark.parametrize(
    ("family", "cells"),
    [
        (
            "qwen2_5_vl",
            {"vlmevalkit-refcoco": 25, "lmms-refcoco-grounding": 100, "lmms-odinw13": 100, "findit": 100, "lmms-refcoco-rec": 0},
        ),
        ("shikra", {"vlmevalkit-refcoco": 74, "lmms-refcoco-rec": 74, "findit": 74, "lmms-refcoco-grounding": 0}),
        ("gemini", {"vlmevalkit-refcoco": 11, "lmms-refcoco-grounding": 11, "findit": 100, "vlmevalkit-groundingme": 11}),
        ("rex_omni", {"rex-omni": 100, "vlmevalkit-refcoco": 100, "findit": 0, "locate-anything": 0}),
        ("qwen2_vl", {"vlmevalkit-refcoco": 100, "vlmevalkit-groundingme": 0, "lmms-odinw13": 0}),
    ],
)
def test_perfect_answers_by_a_rules_own_reading_are_near_what_others_found(family, cells):
    found = cells_of(perfect_case(families()[family], lambda *columns: evaluate(*columns).summary))
    assert found["coco"].startswith("100")
    assert {rule: pytest.approx(int(found[rule].split()[0]), abs=7) for rule in cells} == cells


def test_published_figures_are_numbers_of_the_card_and_have_a_source(tmp_path):
    keys = summary_of(card(case([both(("cat", A))])))
    assert len(BY_ID) == len(FIGURES)
    for figure in FIGURES:
        assert figure.number in ("", *keys)
        assert 0 < figure.value < 1
        assert figure.source.startswith("https://")
    truth = write_json(tmp_path / "gt.json", coco_of(SIZE, [(1, 1, [100, 100, 200, 200])], [1]))
    result = write_rows(tmp_path / "result.jsonl", [{"sample_id": 1, "response": json_answer(("cat", A))}])
    words = (result, "--gt", truth, "--family", "qwen3_vl", "--against")
    shown = call("protocols", *words, "rex-omni-coco-f1-50").stdout
    line = "Rex-Omni, zero-shot, COCO val2017, F1 at 0.5: 0.720; this run 1.000 (+0.280) by rex-omni.placed.F1_50\n  https://arxiv.org/abs/2510"
    assert line in shown
    for name, problem in (("x", "unknown id"), ("qwen3-vl-8b-refcoco", "`groundswift eval referring` scores")):
        assert problem in call("protocols", *words, name, code=1).stderr


def test_detection_shows_the_card_with_protocol_all(tmp_path):
    truth = write_json(tmp_path / "gt.json", coco_of(SIZE, [(1, 1, [100, 100, 200, 200])], [1]))
    result = write_rows(tmp_path / "result.jsonl", [{"sample_id": 1, "response": json_answer(("cat", A))}])
    words = ("--gt", truth, "--no-report", "--protocol", "all", "--out", tmp_path / "out")
    done = call("detection", result, "--family", "qwen3_vl", *words)
    assert all(f"\n{rule.title}: {rule.line}\n" in done.stdout for rule in RULES.values())
    assert metrics_of(tmp_path / "out")["rex-omni.placed.F1_50"] == 1
    assert [table["id"] for table in json.loads((tmp_path / "out/run.json").read_text())["tables"]][-1] == "protocols"
    refused = call("detection", "--predictions", tmp_path / "out/test_pred.json", *words, code=2)
    assert "--protocol all reads answers in text; give RESULT" in refused.output


def test_a_box_without_a_label_is_of_the_one_class_that_was_asked_for():
    rules = Rules("glm4v", limits=Limits())
    truth = truth_from_rows([(1, SIZE, ["cat"], [A])], ["cat", "dog"])
    reader = reader_of(truth, rules)
    reader.add(0, "<|begin_of_box|>[[100,100,300,300]]<|end_of_box|>", asked=["cat"])
    found = case_of(reader.answers(truth), truth, rules, lambda *columns: evaluate(*columns).summary)
    assert found.samples[0].found == [("cat", A)]
    assert RULES["rex-omni"].numbers_of(found, placed=True)[0]["F1_50"] == 1


def test_the_table_has_a_row_a_number():
    table = table_of(card(case([both(("cat", A))])))
    assert len(table.rows) == sum(len(rule.numbers) for rule in RULES.values())
    assert all(len(row) == len(table.columns) for row in table.rows)
