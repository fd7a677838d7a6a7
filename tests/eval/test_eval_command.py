"""`groundswift eval`, as a user calls it: what it prints, what it writes, and how it stops."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from evaluated import call, coco_of, metrics_of, write_json, write_rows

from groundswift import Located, format_answer
from groundswift.background import Background
from groundswift.eval.metric_command import command_of
from groundswift.eval.metrics import coco_engines
from groundswift.eval.metrics.coco_map import CocoMap
from groundswift.eval.metrics.coco_numbers import SUMMARY, TIES
from groundswift.image_resize import Limits
from groundswift.run_record import RunRecord, write_record

COCO = {
    "images": [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 50} for n in (3, 1, 2)],
    "categories": [{"id": 5, "name": "cat"}, {"id": 9, "name": "Dog"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 5, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 9, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0},
        {"id": 3, "image_id": 2, "category_id": 9, "bbox": [50, 0, 50, 50], "area": 2500, "iscrowd": 1},
    ],
}
CAT = format_answer([Located("cat", (100, 200, 300, 600))])
DOG = format_answer([Located("dog", (100, 200, 300, 600)), Located("cow", (0, 0, 9, 9))])
ROWS = [
    {"response": CAT, "sample_id": 1, "size_wh": [100, 50], "labels": "None", "images": [{"bytes": None, "path": "1.jpg"}]},
    {"response": DOG, "sample_id": 2, "size_wh": [100, 50]},
]


@pytest.fixture
def folder(tmp_path):
    write_json(tmp_path / "gt.json", COCO)
    write_rows(tmp_path / "result.jsonl", ROWS)
    return tmp_path


def truth_and_out(folder, out="out"):
    return "--gt", folder / "gt.json", "--out", folder / out, "--no-report"


def score(folder, *words, out="out", code=0):
    default = () if "--predictions" in words else (folder / "result.jsonl", "--family", "qwen2_vl")
    return call("coco-map", *default, *truth_and_out(folder, out), *words, code=code)


def metrics(folder, out="out"):
    return metrics_of(folder / out)


def test_the_whole_output(folder):
    done = score(folder)
    assert done.stdout.startswith(" Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.500\n")
    for line in (
        "family qwen2_vl, boxes in norm1000 (declared by family)",
        "ground truth: 3 images, 2 boxes, 1 crowd boxes",
        "2 ok, 1 missing",
        "unknown labels: 'dog' 1, 'cow' 1",
        "1 unknown labels differ from a class in case only ('dog' for 'Dog'). Use --label-match casefold.",
    ):
        assert line in done.stdout
    warning = "WARNING: 1 of 3 images of the ground truth have no row in the result; their objects are FN. Score a part"
    assert done.output.index(warning) < done.output.index(" Average Precision")
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["metrics.json", "run.json", "test_pred.json"]
    found = metrics(folder)
    assert [each["id"] for each in found["warnings"]] == ["images-without-row"]
    assert list(found) == [*SUMMARY, *TIES, "AP_ceiling", "per_class", "counts", "protocol", "warnings", "run"]
    assert (found["AP"], found["APl"]) == (pytest.approx(0.5), None)
    assert found["per_class"]["Dog"] == {"AP": 0, "AP50": 0, "AP75": 0, "AR100": 0, "AP_ties": 0, "truths": 1, "predictions": 0}
    assert found["counts"] == {
        "images": 3,
        "truths": 2,
        "crowd": 1,
        "annotations_left_out": {},
        "rows": 2,
        "missing": 1,
        "doubled": 0,
        "unknown": 0,
        "rows_left_out": {},
        "statuses": {"ok": 2, "empty": 0, "truncated": 0, "unreadable": 0},
        "reasons": {},
        "dropped": {"label-unknown": 2},
        "changed": {},
        "unknown_labels": {"dog": 1, "cow": 1},
        "predictions": 1,
        "beyond_max_detections": 0,
        "equal_scores": 0,
    }
    protocol = found["protocol"]
    assert (protocol["family"], protocol["grammar"], protocol["space"]) == ("qwen2_vl", "qwen2_tokens", "norm1000")
    assert (protocol["score"], protocol["max_detections"], protocol["gt"]) == ("constant", [1, 10, 100], "gt.json")
    assert protocol["max_detections_of_ap"] == 100
    assert protocol["gt_sha256"] == hashlib.sha256((folder / "gt.json").read_bytes()).hexdigest()


def test_json_is_all_that_stdout_gets(folder):
    done = score(folder, "--json")
    assert json.loads(done.stdout) == metrics(folder)
    assert "truth: 3 images" in done.stderr


@pytest.mark.parametrize("engine", ["groundswift", "hotcoco", "pycocotools"])
def test_test_pred_json_scores_the_same_again(folder, engine):
    score(folder, "--label-match", "casefold")
    predicted = json.loads((folder / "out" / "test_pred.json").read_text())
    assert predicted == [
        {"image_id": 1, "category_id": 5, "bbox": [10, 10, 20, 20], "score": 1},
        {"image_id": 2, "category_id": 9, "bbox": [10, 10, 20, 20], "score": 1},
    ]
    score(folder, "--predictions", folder / "out" / "test_pred.json", "--engine", engine, out="again")
    first, again = metrics(folder), metrics(folder, "again")
    assert [again[key] for key in SUMMARY] == [first[key] for key in SUMMARY]
    assert again["protocol"]["engine"].startswith(engine)


LIMITS = ("min_pixels", "max_pixels", "first_max_pixels")
RECORD = RunRecord(
    family="qwen2_5_vl",
    template="qwen2_5_vl_grounding",
    grammar="json_bbox_2d",
    space="resized_px",
    limits=Limits(3136, 3136, 3000),
    versions={},
)


def resized_result(folder):
    """A cat in a quarter of image 1, by Qwen2.5-VL: model input 84x56 px by the limits of RECORD (56x28 without the first resize)."""
    write_rows(folder / "result.jsonl", [{"response": '[{"bbox_2d": [0, 0, 42, 28], "label": "cat"}]', "sample_id": 1}])


def score_resized(folder, *words, record=None, code=0):
    resized_result(folder)
    if record is not None:
        write_record(folder / "result.jsonl.run.json", record)
    return call("coco-map", folder / "result.jsonl", *truth_and_out(folder), *words, code=code)


FAMILY = ("--family", "qwen2_5_vl")
AGREE = (*FAMILY, "--space", "resized_px", "--min-pixels", "default", "--max-pixels", "3137", "--first-max-pixels", "3000")
OF_RECORD = "input of 3136 to 3136 px, a first resize to at most 3000 px (declared by run record)"


@pytest.mark.parametrize(
    ("record", "words", "limits", "declared_by", "line"),
    [
        pytest.param(
            None,
            (*FAMILY, "--min-pixels", "default", "--max-pixels", "100400"),
            [3136, 100352, None],
            ("family", "options"),
            "input of 3136 to 100352 px (declared by options)",
            id="options",
        ),
        pytest.param(RECORD, (), [3136, 3136, 3000], ("run record", "run record"), OF_RECORD, id="record"),
        pytest.param(RECORD, AGREE, [3136, 3136, 3000], ("run record", "run record"), OF_RECORD, id="options that agree"),
    ],
)
def test_who_declares_family_space_and_limits(folder, record, words, limits, declared_by, line):
    done = score_resized(folder, *words, record=record)
    assert f"family qwen2_5_vl, boxes in resized_px (declared by {declared_by[0]})" in done.stdout
    assert line in done.stdout
    protocol = metrics(folder)["protocol"]
    assert [protocol[name] for name in LIMITS] == limits
    assert (protocol["space_declared_by"], protocol["limits_declared_by"]) == declared_by
    bbox = json.loads((folder / "out" / "test_pred.json").read_text())[0]["bbox"]
    assert bbox == ([0, 0, 50, 25] if record else [0, 0, 37.5, 25])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["--family", "qwen3_vl"], "--family qwen3_vl, but {record} says qwen2_5_vl", id="family"),
        pytest.param(["--space", "norm1000"], "--space norm1000, but {record} says resized_px", id="space"),
        pytest.param(["--max-pixels", "100352"], "--max-pixels 100352, but {record} says 3136", id="limit"),
        pytest.param(["--max-pixels", "default"], "--max-pixels default, but {record} says 3136", id="default"),
        pytest.param(["--first-max-pixels", "default"], "--first-max-pixels default, but {record} says 3000", id="first resize"),
        pytest.param(
            ["--min-pixels", "784", "--space", "norm999"],
            "--space norm999, but {record} says resized_px; --min-pixels 784, but {record} says 3136",
            id="two",
        ),
    ],
)
def test_options_that_contradict_the_record_stop(folder, words, message):
    done = score_resized(folder, *words, record=RECORD, code=1)
    assert message.format(record=folder / "result.jsonl.run.json") in done.stderr
    assert not (folder / "out").exists()


def test_the_answers_of_training_have_the_record_of_their_folder(folder):
    resized_result(folder)
    (folder / "result.jsonl").rename(folder / "predict.jsonl")
    write_record(folder / "groundswift_run.json", RECORD)
    call("coco-map", folder / "predict.jsonl", *truth_and_out(folder))
    assert metrics(folder)["protocol"]["limits_declared_by"] == "run record"
    (folder / "predict.jsonl").rename(folder / "other.jsonl")  # of an inference run, which may have had other limits
    assert "other.jsonl has no record of the run" in call("coco-map", folder / "other.jsonl", *truth_and_out(folder), code=2).stderr


def test_a_record_that_cannot_be_read_stops(folder):
    (folder / "result.jsonl.run.json").write_text("{}")
    assert "result.jsonl.run.json: is not a record of a run" in score(folder, code=1).stderr


def test_limits_are_reported_where_the_space_does_not_need_them(folder):
    score(folder, "--first-max-pixels", "9000")
    protocol = metrics(folder)["protocol"]
    assert [protocol[name] for name in LIMITS] == [3136, 12845056, 9000]
    score(folder, out="plain")
    assert "limits_declared_by" not in metrics(folder, "plain")["protocol"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        pytest.param(["--predictions", "x.json", "result.jsonl"], 2, "give either RESULT", id="both inputs"),
        pytest.param([], 2, "give either RESULT", id="no input"),
        pytest.param(["result.jsonl"], 2, "Families: qwen_vl, qwen2_vl, ", id="no family"),
        pytest.param(["result.jsonl", "--family", "gpt"], 1, "unknown model family 'gpt'", id="unknown family"),
        pytest.param(["result.jsonl", "--family", "qwen2_5_vl"], 1, "or `default` for one that was not set", id="no limits"),
        pytest.param(["result.jsonl", "--family", "qwen2_vl", "--max-pixels", "many"], 2, "neither a whole number", id="limit"),
        pytest.param(["--predictions", "x.json", "--family", "qwen2_vl"], 2, "--family says how answers are read", id="needless"),
        pytest.param(["--predictions", "x.json", "--first-max-pixels", "9"], 2, "--first-max-pixels says how", id="needless limit"),
        pytest.param(["none.jsonl"], 1, "error: none.jsonl: cannot be read (No such file or directory)", id="no result file"),
        pytest.param(["none.jsonl", "--gt", "none.json"], 1, "error: none.jsonl: cannot be read", id="no file at all"),
        pytest.param(["none.jsonl", "--family", "gpt"], 1, "error: none.jsonl: cannot be read", id="no result, unknown family"),
        pytest.param(["none.jsonl", "--engine", "pycocotools"], 1, "error: none.jsonl: cannot be read", id="no result, other engine"),
        pytest.param(["--predictions", "none.json"], 1, "error: none.json: cannot be read", id="no predictions file"),
        pytest.param(["result.jsonl", "--family", "qwen2_vl", "--score", "logprob"], 1, "--logprobs true", id="no logprobs"),
        pytest.param(["result.jsonl", "--family", "qwen2_vl", "--gt", "none.json"], 1, "none.json: cannot be read", id="no truth"),
        pytest.param(["result.jsonl", "--family", "qwen2_vl", "--out", "gt.json"], 1, "cannot be written", id="out is a file"),
    ],
)
def test_how_it_stops(folder, monkeypatch, words, code, message):
    monkeypatch.chdir(folder)
    done = call("coco-map", "--gt", "gt.json", "--out", "out", "--no-report", *words, code=code)
    assert message in done.stderr
    assert not (folder / "out").exists()


def test_bad_rows_stop_and_leave_the_old_files(folder):
    score(folder)
    before = metrics(folder)
    with open(folder / "result.jsonl", "a") as rows:
        rows.write('{"response": "No')
    done = score(folder, code=1)
    assert f"{folder}/result.jsonl:3: the file stops in the middle of this line" in done.stderr
    assert "2 valid rows before it" in done.stderr
    assert metrics(folder) == before
    score(folder, "--on-error", "skip")
    assert metrics(folder)["counts"]["rows_left_out"] == {"row-invalid": 1}


@pytest.mark.parametrize("limit", ["9" * 5000, "9" * 16, "0", "-1", "1.5", "\u00b2"])
@pytest.mark.parametrize("option", ["--min-pixels", "--max-pixels", "--first-max-pixels", "--max-detections"])
def test_a_limit_that_is_none(folder, option, limit):
    said = score(folder, option, limit, code=2).stderr
    assert option in said
    assert len(said) < 500 or option == "--max-detections"


def shifted_truth(folder, count=12):
    """Truth and a result of qwen2_vl that writes pixels of the image, not thousandths."""
    boxes = [[7 * n, 30 + 11 * n, 30 + 5 * n, 40 + 3 * n] for n in range(count)]
    write_json(folder / "gt.json", coco_of((400, 300), [(n, 1, box) for n, box in enumerate(boxes, 1)], range(1, count + 1)))
    located = [Located("cat", (x, y, x + width, y + height)) for x, y, width, height in boxes]
    write_rows(folder / "result.jsonl", [{"response": format_answer([one]), "sample_id": n} for n, one in enumerate(located, 1)])
    corners = [{"image_id": n, "category_id": 1, "bbox": [*one.box], "score": 1} for n, one in enumerate(located, 1)]
    write_json(folder / "corners.json", corners)


@pytest.mark.parametrize(
    ("words", "reading"),
    [((), "original_px"), (("--predictions", "corners.json"), "in place of x, y, width, height")],
    ids=["answers", "results"],
)
def test_boxes_in_another_space_are_warned_of_and_scored_as_declared(folder, monkeypatch, words, reading):
    shifted_truth(folder)
    monkeypatch.chdir(folder)
    done = score(folder, *words, "--report")
    assert metrics(folder)["AP"] < 0.1
    (warning,) = metrics(folder)["warnings"]
    assert (warning["id"], warning["explained"]) == ("box-space", 12)
    assert reading in warning["reading"]
    assert f"WARNING: {warning['message']}\n" in done.stderr
    assert "another space than declared" in (folder / "out" / "report.html").read_text()


def test_no_warning_where_boxes_fit(folder):
    shifted_truth(folder)
    done = score(folder, "--space", "original_px")
    assert metrics(folder)["AP"] == pytest.approx(1)
    assert metrics(folder)["warnings"] == []
    assert "WARNING" not in done.stderr


def test_compare(folder):
    score(folder, out="before")
    score(folder, "--label-match", "casefold", out="after")
    words = (folder / "before", folder / "after", "--names", "base,tuned", "--out", folder / "both", "--set", "seconds=12.5")
    done = call("compare", *words)
    assert done.stdout.splitlines()[:2] == [
        "                 base     tuned    change",
        "AP              0.500     1.000    +0.500",
    ]
    assert "APl                 -         -         -" in done.stdout
    assert "the runs differ in label_match" in done.stderr
    written = json.loads((folder / "both" / "summary.json").read_text())
    assert list(written) == ["base", "tuned", "seconds"]
    assert written["base"] == {key: metrics(folder, "before")[key] for key in (*SUMMARY, *TIES, "AP_ceiling")}
    assert written["seconds"] == 12.5
    assert "<html" in (folder / "both" / "report.html").read_text()
    assert json.loads(call("compare", *words, "--json").stdout) == written


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        pytest.param(["a"], 2, "at least two folders", id="one folder"),
        pytest.param(["a", "none"], 1, "none/run.json: cannot be read", id="no run"),
        pytest.param(["a", "a"], 1, "expected different names", id="same names"),
        pytest.param(["a", "a", "--names", "x"], 1, "--names has 1 names for 2 runs", id="too few names"),
        *(
            pytest.param(["a", "a", "--names", "x,y", "--set", f"n={text}"], 2, "expected KEY=NUMBER", id=f"n={text[:9]}")
            for text in ("many", "1e400.0", "inf", "nan", "1e999", "9" * 5000, "-1e400.", "")
        ),
        pytest.param(["a", "a", "--names", "x,y", "--set", "x=1"], 1, "there is a run of this name", id="a number named as a run"),
    ],
)
def test_how_compare_stops(folder, monkeypatch, words, code, message):
    score(folder, out="a")
    monkeypatch.chdir(folder)
    assert message in call("compare", *words, "--out", "both", code=code).stderr
    assert not (folder / "both").exists()


@pytest.mark.process
def test_help_loads_nothing_heavy():
    code = (
        "import sys; from click.testing import CliRunner; from groundswift.cli import main;"
        "assert CliRunner().invoke(main, ['eval', 'coco-map', '--help']).exit_code == 0;"
        "print(sorted({'hotcoco', 'pycocotools', 'tqdm', 'jinja2', 'torch', 'swift', 'groundswift.grammars.lines'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout.strip() == "[]"


def test_predictions_are_written_while_the_engine_works(folder, monkeypatch):
    """The numbers are waited for only when the first file is there."""
    seen = []

    class Waiting(Background):
        def result(self):
            seen.extend(path.name for path in folder.glob(".groundswift.*/*"))
            return super().result()

    monkeypatch.setattr(coco_engines, "Background", Waiting)
    score(folder)
    assert seen == ["test_pred.json"]


def test_a_metric_of_its_own_scores_in_its_own_way(folder):
    class Half(CocoMap):
        def score(self, answers, truth):
            found = super().score(answers, truth)
            return replace(found, summary={**found.summary, "AP": 0.25})

    words = (folder / "result.jsonl", "--family", "qwen2_vl", *truth_and_out(folder))
    command_of(Half).main(list(map(str, words)), standalone_mode=False)
    assert metrics(folder)["AP"] == 0.25
