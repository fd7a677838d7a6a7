"""Anomaly detection: declared verdicts, their ROC, choices, boxes by stage and by class, tables as results, what is refused."""

from __future__ import annotations

import csv
import json
import math
import random

import pytest
from evaluated import call, write_rows
from judge_server import judge_server
from text_rows import refused, scored, text_row

from groundswift import Located, format_answer
from groundswift.errors import GroundswiftError
from groundswift.eval.answers.first_token import first_alternatives
from groundswift.eval.answers.verdicts import BUILT_IN, VerdictRules
from groundswift.eval.checkpoint_curves import curves
from groundswift.eval.metrics.anomaly import Anomaly
from groundswift.eval.run_check import read_run

WORDS = ("--anomalous", "yes,有", "--normal", "no,没有")
RULES = VerdictRules.of(["yes,有"], ["no,没有"], BUILT_IN)
LISTED = "Is there an anomaly? A. {} B. {} Answer with A or B only."


def verdict_row(number: int, truth: bool, said: str, first: str = "yes", **more):
    """A row of `anomaly locate`, whose option A is `first`."""
    second = "no" if first == "yes" else "yes"
    letter = "A" if truth == (first == "yes") else "B"
    row = text_row(f"locate/{number}/verdict", said, letter, LISTED.format(first, second), stage=3, prompt="locate.verdict.en.1")
    return row | more


def logprobs(token: str, probability: float, **others: float):
    top = [{"token": each, "logprob": math.log(value)} for each, value in others.items()]
    first = {"token": token, "logprob": math.log(probability), **({"top_logprobs": top} if top else {})}
    return {"logprobs": {"content": [first, {"token": ".", "logprob": -0.1}]}}


def test_the_numbers_of_verdicts_are_those_of_their_table(tmp_path):
    """3 anomalies: found, missed, unreadable; 4 normal images: 2 right, 1 alarm, 1 unreadable."""
    rows = [
        verdict_row(1, True, "A"),
        verdict_row(2, True, "yes", first="no"),
        verdict_row(3, True, "B"),
        verdict_row(4, True, "perhaps"),
        verdict_row(5, False, "B"),
        verdict_row(6, False, "No, all is well"),
        verdict_row(7, False, "A"),
        verdict_row(8, False, ""),
    ]
    found = scored("anomaly", tmp_path, rows, *WORDS)
    assert found["anomaly_precision"] == pytest.approx(2 / 3)
    assert found["anomaly_recall"] == pytest.approx(2 / 4)
    assert found["anomaly_f1"] == pytest.approx(4 / (2 * 2 + 1 + 2))
    assert found["anomaly_accuracy"] == pytest.approx(4 / 8)
    assert found["anomaly_specificity"] == pytest.approx(2 / 4)
    assert found["anomaly_auroc"] is None
    assert [warning["id"] for warning in found["warnings"]] == ["roc-undefined"]
    assert "8 of 8 verdicts have no log-probability" in found["warnings"][0]["message"]
    counts = found["counts"]
    assert (counts["verdicts"], counts["verdicts_of_anomalies"], counts["verdict_unreadable"]) == (8, 4, 2)
    assert found["per_class"]["stage: 3"]["anomaly_f1"] == found["anomaly_f1"]
    assert found["protocol"]["anomalous"] == "yes, 有"
    assert found["images"][1]["values"]["verdict"] == "anomaly"
    said = [image["values"]["verdict outcome"] for image in found["images"]]
    assert said[:4] == ["true positive", "true positive", "false negative", "unreadable"]
    assert said[4:] == ["true negative", "true negative", "false positive", "unreadable"]


def test_a_class_is_compared_with_normal_images_of_its_name_or_of_none(tmp_path):
    """A kind of anomaly with the bare normal frames; a product, as MMAD's, with its own ones; a product without anomalies has no number."""
    rows = [
        verdict_row(1, True, "A", class_name="bubble"),
        verdict_row(2, False, "A"),
        verdict_row(3, True, "A", class_name="screw"),
        verdict_row(4, False, "A", class_name="screw"),
        verdict_row(5, False, "B", class_name="bottle"),
    ]
    found = scored("anomaly", tmp_path, rows, *WORDS)
    assert found["anomaly_precision"] == pytest.approx(2 / 4)
    of = {name: found["per_class"][f"class_name: {name}"] for name in ("bubble", "screw", "bottle")}
    assert [of[name]["anomaly_precision"] for name in of] == [1 / 2, pytest.approx(1 / 3), None]
    assert [of[name]["anomaly_recall"] for name in of] == [1, 1, None]
    assert [of[name]["anomaly_f1"] for name in of] == [pytest.approx(2 / 3), 2 / 4, None]


def test_a_frame_with_several_kinds_is_in_the_class_of_each(tmp_path):
    """By the names that other rows and boxes have; a name that only looks like several stays one."""
    rows = [
        verdict_row(1, True, "A", class_name="bubble, spill"),
        verdict_row(2, True, "B", class_name="bubble"),
        verdict_row(3, True, "B", class_name="lid, loose"),
        verdict_row(4, False, "B"),
        box_row(1, [("spill", A)], [("spill", A)]),
    ]
    found = scored("anomaly", tmp_path, rows, *WORDS)["per_class"]
    recalls = {name.removeprefix("class_name: "): found[name]["anomaly_recall"] for name in found if name.startswith("class")}
    assert recalls == {"bubble": 0.5, "spill": 1.0, "lid, loose": 0.0}


def test_other_questions_of_yes_and_no_are_no_verdicts(tmp_path):
    part = text_row("crop/1", "no", "Yes.", "Is this a bubble?", stage=1, prompt="crop.is_it.en.1", class_name="bubble")
    found = scored("anomaly", tmp_path, [verdict_row(1, True, "A"), verdict_row(2, False, "B"), part], *WORDS)
    assert (found["anomaly_accuracy"], found["counts"]["verdicts"]) == (1.0, 2)
    assert found["per_class"]["stage: 1"]["exact"] == 0
    only = scored("anomaly", tmp_path, [part], *WORDS, "--verdict-where", "question=*bubble?", "--verdict-where", "stage=3")
    assert (only["anomaly_recall"], only["counts"]["verdicts"]) == (0.0, 1)


def test_nothing_is_guessed(tmp_path):
    rows = [verdict_row(1, True, "A"), verdict_row(2, False, "B")]
    found = scored("anomaly", tmp_path, rows)
    assert found["anomaly_precision"] is None
    assert (found["choice"], found["protocol"]["verdict"]) == (1.0, "not declared")
    plain = [text_row(1, "yes", "yes", "Any anomaly?")]
    assert "no question asks for a verdict by --verdict-where prompt=" in refused("anomaly", tmp_path, plain, *WORDS)
    assert "--anomalous without --normal" in refused("anomaly", tmp_path, rows, "--anomalous", "yes")
    assert "'no' is declared as --anomalous and as --normal" in refused("anomaly", tmp_path, rows, "--anomalous", "no", "--normal", "No.")
    assert "'prompt'; expected COLUMN=PATTERN" in refused("anomaly", tmp_path, rows, *WORDS, "--verdict-where", "prompt")


@pytest.mark.parametrize(
    ("text", "said"),
    [("Yes.", True), ("**No**, fine", False), ("没有异常", False), ("有异常", True), ("nothing", None), ("I say yes", None), ("", None)],
)
def test_an_answer_says_what_it_begins_with(text, said):
    assert RULES.said(text) is said


def test_the_longest_declared_text_counts():
    rules = VerdictRules.of(["no lid"], ["no"], BUILT_IN)
    assert [rules.said(text) for text in ("No lid on it", "No.", "Nobody")] == [True, False, None]


def test_roc_is_of_the_first_token(tmp_path):
    rows = [
        verdict_row(1, True, "A", **logprobs("A", 0.6, A=0.6, B=0.2, C=0.1)),
        verdict_row(2, True, "A", first="no", **logprobs(" A", 0.6, A=0.6, B=0.4)),
        verdict_row(3, False, "B", **logprobs("B", 0.9)),
        verdict_row(4, False, "yes it is", **logprobs("yes", 0.7)),
    ]
    found = scored("anomaly", tmp_path, rows, *WORDS)
    assert found["anomaly_auroc"] == pytest.approx(0.75), "0.75 and 0.4 against 0.1 and an answer in words"
    assert found["warnings"] == []
    assert [image["values"]["verdict score"] for image in found["images"]] == ["0.750", "0.250", "0.100", "0.700"]
    run = json.loads(next(tmp_path.glob("scored-*/run.json")).read_text())
    assert [plot["id"] for plot in run["plots"]] == ["roc", "precision-recall"]


def test_log_probabilities_that_none_can_be_give_no_score(tmp_path):
    assert first_alternatives(b'{"content":[{"token":"A","logprob":0.5}]}') == ()
    assert first_alternatives(b'{"content":"x"}') == ()
    assert first_alternatives(b'{"content":[{"token":" ","logprob":-1},{"token":"A","logprob":-2}]}') == (("A", -2.0),)
    rows = [verdict_row(1, True, "A", **logprobs("A", 0.9)), verdict_row(2, False, "B")]
    found = scored("anomaly", tmp_path, rows, *WORDS)
    assert found["anomaly_auroc"] is None
    assert "1 of 2 verdicts" in found["warnings"][0]["message"]


SIZE = (1000, 500)


def box_row(number: int, truth: list, said: list, stage: int = 3, **more):
    """A row of `anomaly locate` about places: boxes of labels, in pixels."""
    wanted = {"ref": [label for label, _ in truth], "bbox": [box for _, box in truth], "bbox_type": "real"}
    text = format_answer([Located(label, (x, 2 * y, right, 2 * bottom)) for label, (x, y, right, bottom) in said], "qwen2_vl")
    labels = "<ref-object><bbox>" * len(truth) or "None"
    row = text_row(f"locate/{number}/where", text, labels, "Where?", size_wh=SIZE, stage=stage, asked=["bubble", "spill"])
    return row | {"objects": wanted} | more


A, B, FAR = [100, 100, 200, 200], [400, 100, 500, 200], [800, 300, 900, 400]


def test_boxes_are_scored_by_class_and_by_stage(tmp_path):
    rows = [
        box_row(1, [("bubble", A), ("spill", B)], [("bubble", A), ("spill", FAR)]),
        box_row(2, [], []),
        box_row(3, [], [("bubble", A)], stage=2),
        box_row(4, [("bubble", B)], [("spill", B)], stage=2, images=["a.jpg", "normal.jpg"]),
    ]
    found = scored("anomaly", tmp_path, [*rows, verdict_row(1, True, "A")], "--family", "qwen2_vl")
    assert (found["box_precision"], found["box_recall"], found["box_f1"]) == (1 / 4, 1 / 3, pytest.approx(2 / 7))
    assert found["per_class"]["class_name: bubble"]["box_recall"] == 1 / 2
    assert found["per_class"]["class_name: spill"]["box_f1"] == 0
    assert found["per_class"]["stage: 2"]["box_precision"] == 0
    assert found["per_class"]["stage: 3"]["box_recall"] == 1 / 2
    assert found["exact"] == 1, "rows of boxes are not compared as text"
    assert found["counts"]["rows_of_boxes"] == 4
    assert [image["image_id"] for image in found["images"]] == list(range(5))


def test_boxes_without_a_family_are_undefined_in_words(tmp_path):
    found = scored("anomaly", tmp_path, [box_row(1, [("bubble", A)], [("bubble", A)]), verdict_row(1, True, "A")])
    assert found["box_f1"] is None
    assert [warning["id"] for warning in found["warnings"]] == ["boxes-unread"]
    wrong = box_row(1, [("bubble", A)], []) | {"objects": {"ref": [], "bbox": [A]}}
    assert "1 boxes and 0 labels" in refused("anomaly", tmp_path, [wrong], "--family", "qwen2_vl")


def test_rows_of_boxes_in_a_table_are_counted_and_not_compared(tmp_path):
    lines = ["1,a,Where?,<ref-object><bbox>,x,3,,,locate.where.en.1,", "2,a,Where?,None,None,3,,,locate.where.en.2,"]
    done = call("anomaly", table(tmp_path, *lines, "3,a,What?,tip,tip,3,,,locate.what.en.1,"), "--family", "qwen2_vl", "--json")
    found = json.loads(done.stdout)
    assert (found["exact"], found["box_f1"], found["counts"]["rows_of_boxes"], found["counts"]["samples"]) == (1.0, None, 2, 1)
    assert "2 rows ask for boxes, which a table does not have" in done.stderr


def test_what_is_undefined_or_unreadable_is_said_on_the_terminal(tmp_path):
    rows = [verdict_row(1, True, "perhaps", stage=9), verdict_row(2, False, "B")]
    done = call("anomaly", write_rows(tmp_path / "r.jsonl", rows), *WORDS)
    assert "WARNING: AUROC is undefined: 2 of 2 verdicts" in done.stderr
    assert "verdicts: 2, of anomalies 1" in done.stdout
    assert "[verdict_unreadable]" in done.stdout
    assert "[stage_unknown]" in done.stdout


def test_unknown_stages_and_missing_classes_are_counted(tmp_path):
    rows = [verdict_row(1, True, "A", stage=7), verdict_row(2, False, "B", stage="x"), verdict_row(3, False, "B", class_name="tip")]
    rows[0].pop("prompt"), rows.append(rows[2])
    found = scored("anomaly", tmp_path, rows, *WORDS)
    counts = found["counts"]
    assert (counts["stage_unknown"], counts["stage_missing"], counts["class_missing"]) == (2, 0, 2)
    assert counts["rows_left_out"] == {"row-duplicate": 1}
    assert set(found["per_class"]) == {"stage: 3", "class_name: tip"}


def test_every_disagreement_of_judges_and_substring_is_in_a_table(tmp_path):
    rows = [text_row(number, f"answer {number}", "answer", "What?") for number in range(300)]
    with judge_server() as server:
        words = ("--judge-url", f"{server.url}/v1", "--judge-model", "strict")
        found = scored("anomaly", tmp_path, rows, *words)
    assert (found["substring"], found["judge"], found["substring_agreement"]) == (1.0, 0.0, 0.0)
    table = next(table for table in found["tables"] if table["id"] == "judge-disagreements")
    assert (len(table["rows"]), "of 300" in table["note"]) == (200, True)
    with open(next(tmp_path.glob("scored-*/disagreements.csv")), encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 300
    assert lines[0]["strict"] == "no"
    assert lines[0]["substring"] == "yes"


TABLE = "sample_id,image,question,answer,response,stage,label,source,prompt,error\r\n"


def table(folder, *lines: str, head: str = TABLE):
    """A table of answers as a result file."""
    path = folder / "r.csv"
    path.write_bytes((head + "\r\n".join(lines) + "\r\n").encode("utf-8-sig"))
    return path


def test_a_table_has_the_numbers_of_its_rows(tmp_path):
    rows = [verdict_row(1, True, "A", class_name="=bubble"), verdict_row(2, False, "A"), verdict_row(3, False, "B", first="no")]
    cells = [
        (row["sample_id"], "a.jpg", f'"{LISTED.format(*words)}"', row["labels"], row["response"], "3", label, "", row["prompt"], "")
        for row, words, label in zip(rows, (("yes", "no"), ("yes", "no"), ("no", "yes")), ("'=bubble", "", ""), strict=True)
    ]
    expected = scored("anomaly", tmp_path, rows, *WORDS)
    done = call("anomaly", table(tmp_path, *map(",".join, cells)), "--json", *WORDS)
    found = json.loads(done.stdout)
    differing = {key for key in expected if expected[key] != found.get(key)} - {"protocol", "run", "images", "tables", "intervals"}
    assert differing == set()
    assert "class_name: =bubble" in found["per_class"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,a.jpg,,yes,yes,3,,,,", "r.csv:2: an answer without a question"),
        ("1,a.jpg,Q?,,yes,3,,,,", "r.csv:2: a question without its true answer"),
        ("1,a.jpg,Q?,yes,yes,3", "r.csv:2: 6 fields; expected 10"),
        ('1,a.jpg,Q?,yes,"yes', "r.csv:2: not CSV"),
    ],
)
def test_a_table_edited_by_hand_is_refused_or_counted(tmp_path, line, message):
    good = "2,a.jpg,Q?,yes,yes,3,,,p.verdict.1,"
    assert message in call("anomaly", table(tmp_path, line, good), code=1).stderr
    if "not CSV" not in message:
        done = call("anomaly", table(tmp_path, line, good, good), "--on-error", "skip", "--json")
        assert json.loads(done.stdout)["counts"]["rows_left_out"] == {"row-invalid": 1, "row-duplicate": 1}


def test_other_columns_than_those_of_a_table_are_refused_or_kept(tmp_path):
    assert "semicolons" in call("anomaly", table(tmp_path, head="question;answer;response\r\n"), code=1).stderr
    assert "no column response" in call("anomaly", table(tmp_path, head="question,answer\r\n"), code=1).stderr
    path = table(tmp_path, "Q?,yes,yes,night", "Q2?,yes,no,day", head="question,answer,response,shift\r\n")
    found = json.loads(call("anomaly", path, "--group-by", "shift", "--json").stdout)
    assert found["per_class"]["shift: night"]["exact"] == 1


def test_rules_need_both_sides():
    with pytest.raises(GroundswiftError, match="--normal without --anomalous"):
        VerdictRules.of([], ["no"], BUILT_IN)


def test_the_report_has_the_plot_and_the_tables(tmp_path):
    draw = random.Random(1)
    rows = [verdict_row(number, number % 2 == 0, draw.choice("AB"), **logprobs("A", 0.5 + number / 100)) for number in range(20)]
    call("anomaly", write_rows(tmp_path / "r.jsonl", rows), *WORDS, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "false positive rate" in page
    assert "异常" in page


def test_checkpoints_make_curves(tmp_path):
    folders = []
    for step, right in ((20, 4), (100, 8), (3, 1)):
        rows = [verdict_row(number, number % 2 == 0, "A" if (number < right) == (number % 2 == 0) else "B") for number in range(8)]
        rows += [box_row(number, [("bubble", A)], [("bubble", A if number < right else FAR)], stage=2) for number in range(8)]
        folders.append(tmp_path / f"checkpoint-{step}")
        call("anomaly", write_rows(tmp_path / f"{step}.jsonl", rows), *WORDS, "--family", "qwen2_vl", "--out", folders[-1])
    call("compare", *folders, "--out", tmp_path / "curves")
    page = (tmp_path / "curves" / "report.html").read_text(encoding="utf-8")
    assert "Checkpoints, by stage: anomaly F1" in page
    runs = [read_run(folder, folder.name) for folder in folders]
    numbers = runs[0].metrics
    plots = {plot.id: plot for plot in curves(runs, [20, 100, 3], Anomaly.numbers)}
    lines = {line.label: line for line in plots["checkpoints"].lines}
    assert lines["anomaly recall"].x == [3, 20, 100]
    assert lines["anomaly recall"].y == [run.metrics["anomaly_recall"] for run in (runs[2], runs[0], runs[1])]
    assert lines["anomaly recall"].y[1] == numbers["anomaly_recall"]
    assert "anomaly AUROC" not in lines
    assert [line.label for line in plots["checkpoints-box_f1-stage"].lines] == ["stage: 2"]
    (of_class,) = plots["checkpoints-box_f1-class"].lines
    assert (of_class.label, of_class.y) == ("class_name: bubble", [1 / 8, 4 / 8, 1.0])
    assert "expected 3 different whole numbers" in call("compare", *folders, "--steps", "1,1,2", "--out", tmp_path / "x", code=1).stderr
    assert "Checkpoints" not in page_of(tmp_path, folders, "--names", "a,b,c")
    assert "Checkpoints" in page_of(tmp_path, folders, "--names", "a,b,c", "--steps", "1,2,3")


def page_of(folder, runs, *words):
    """The report of a comparison."""
    call("compare", *runs, "--out", folder / "named", *words)
    return (folder / "named" / "report.md").read_text(encoding="utf-8") + (folder / "named" / "report.html").read_text(encoding="utf-8")
