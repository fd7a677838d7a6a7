"""The report as a parser meets it: well-formed, closed in itself, escaped, ordered, and honest about what is not there."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from report_page import HOSTILE, TABLE, THREE, image_result, make_run

from groundswift.errors import GroundswiftError
from groundswift.eval.answers.counts import Counts
from groundswift.eval.compare import differing_terms
from groundswift.eval.count_ids import COUNTS, GROUPS
from groundswift.eval.evaluated_run import OUTCOMES, Curve, Line, Plot, Table
from groundswift.eval.metrics.coco_map import COCO, LVIS
from groundswift.eval.report import page as page_module
from groundswift.eval.report.page import json_bytes, write_report
from groundswift.eval.report.tables import warnings_of
from groundswift.eval.report.words import words

NOT_COMPARABLE = "The runs differ in score: their numbers are not comparable."


@pytest.mark.parametrize("names", [("only",), ("before", "after"), ("base", "half", "whole")], ids=["one", "two", "three"])
def test_every_run_has_its_column_its_curves_and_its_boxes(report, names):
    page = report(*(make_run(name, [image_result()], value=0.25 * i) for i, name in enumerate(names, 1)))
    assert all(name in page.text() for name in names)
    assert len(page.all("g", "curve")) == 2 * 4 * len(names), "precision and F1"
    assert len(page.block("d0")[0]) == len(page.index["runs"]) == len(names)
    assert len(page.block("t0")) == 1, "one thumbnail serves all runs"
    (plot, _) = (part.split("</svg>")[0] for part in page.html.split('id="plot-')[1:3])
    dashes = [re.search(r'stroke-dasharray="([^"]*)"', line) for line in re.findall(r'<g class="curve line0">.*?</g>', plot, re.DOTALL)]
    assert dashes[-1] is None
    assert len({dash and dash[1] for dash in dashes}) == len(names)
    assert ("difference" in page.text()) == (len(names) > 1)


SCALE = {"images": 2, "truths": 12, "predictions": 1034}


UNDEFINED, LEVEL = Curve(None, "0.50", [-1.0] * 101), Curve(None, "0.75", [0.5] * 101)


SAYS = {  # (runs), options of the report, what its text says
    "the difference is last less first": ([make_run("before", value=0.125), make_run("after", value=0.5)], {}, "+0.375"),
    "numbers of two runs": ([make_run("before", value=0.125), make_run("after", value=0.5)], {}, "AP 0.125 → 0.500"),
    "the scale": (
        [make_run(images=[image_result(1), image_result(2)], counts=SCALE)],
        {},
        "AP 0.500, AP50 0.500 on 2 images, 12 ground-truth boxes, 1,034 predictions.",
    ),
    "undefined numbers": ([make_run(name, value=None) for name in "ab"], {}, "AP – → –"),
    "an undefined curve": ([make_run(curves=[UNDEFINED, LEVEL])], {}, "precision is undefined: after, all classes, IoU 0.50."),
    "a metric without images": ([make_run(labels=(), counts={"rows": 7})], {}, "AP 0.500, AP50 0.500 on 7 rows."),
    "a clean run": ([make_run(counts={"images": 3, "missing": 0})], {}, "Nothing: every answer was read in full"),
    "runs that do not compare": ([make_run("before", score="order"), make_run(score="logprob")], {}, NOT_COMPARABLE),
    "counts in groups": ([make_run(counts={"dropped": {"doubled_id": 7}})], {}, "dropped: doubled id"),
    "the protocol": ([make_run()], {}, "2024-05-06"),
}


@pytest.mark.parametrize("name", SAYS)
def test_what_the_page_says(report, name):
    runs, options, said = SAYS[name]
    page = report(*runs, **options)
    assert said in " ".join(page.text().split())
    assert ("not comparable" in page.text()) == (said == NOT_COMPARABLE)
    assert len(page.all("g", "curve")) == 2 * sum(max(curve.precision) >= 0 for run in runs for curve in run.curves)


def test_nothing_is_asked_of_a_network(report):
    page = report(make_run(images=[image_result(1), image_result(9)], labels=HOSTILE))
    targets = [value for _, attrs in page.elements for key, value in attrs.items() if key in ("src", "href", "srcset", "action")]
    assert targets
    assert all(target.startswith(("data:", "#")) for target in targets)
    assert "url(" not in page.html
    assert "@import" not in page.html
    policy = page.all("meta")[3]["content"]
    assert policy.startswith("default-src 'none'; img-src data: blob: 'self' file:;")
    assert "connect-src 'none'" in policy
    script = page.html.split("<script>")[1].split("</script>")[0]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy, "no script but this one runs"


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_text_is_only_text(report, label):
    def one(text, **more):
        table = Table("t", text, [text, text], [[text, 3.0]], matrix=True, note=text)
        plot = Plot("p", text, text, text, [Line(text, [0, 1], [0, 1]), Line(text, [0, 1], [1, 0])], note=text)
        image = image_result(label=text, response=text)
        image.question, image.references, image.values, image.status = text, [text], {text: text, "score": 0.5}, text
        run = make_run(text, [image], labels=[text], **more)
        run.tables, run.plots = [table], [plot]
        return report(run, title=text)

    plain, page = one("plain"), one(label)
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements], "no element came from the text"
    assert not any(key.startswith("on") for _, attrs in page.elements for key in attrs)
    assert label in dict(page.texts)["h1"] + dict(page.texts)["title"]
    found = page.block("d0")[0][0]
    assert (found["r"], found["q"], found["a"]) == (label, label, [label])
    assert page.block("setup")["classes"] == [label]
    assert page.html.count("<script") == plain.html.count("<script") == 4
    markdown = page.markdown
    assert "<script" not in markdown
    assert "<img" not in markdown


def test_json_in_the_page_ends_no_element_and_keeps_a_lone_surrogate():
    for value in ("</script><!--", "a\ud800b"):
        text = json_bytes({"a": value})
        assert b"<" not in text
        assert json.loads(text) == {"a": value}


@pytest.mark.parametrize("status", ["unreadable", "truncated", "missing"])
def test_filters_name_every_class_once_and_lost_answers(report, status):
    page = report(make_run(images=[image_result(label="unknown thing", status=status)], labels=("star", "bolt")))
    assert page.block("setup")["classes"] == ["star", "bolt", "unknown thing"]
    assert page.index["classes"] == [[2 * 32 + 1]]
    assert (page.index["statuses"], page.index["runs"][0]["status"]) == ([status], [0])


def test_warnings_tell_what_was_lost_and_only_that():
    counts = {"images": 9, "missing": 0, "doubled": 2, "statuses": {"ok": 5, "unreadable": 1}, "dropped": {"point": 3}}
    counts |= {"unknown_labels": {"my_label": 1}}
    (warned,) = warnings_of([make_run(counts=counts)])
    assert [count for _, count in warned.lines] == [2, 1, 3, 1]
    assert [text for text, _ in warned.lines[2:]] == ["dropped from answers: point instead of a box", "box of an unknown class: my_label"]


def test_every_count_of_the_evaluator_is_a_warning_or_known_to_be_harmless():
    counts = Counts().document()
    harmless = {"rows", "ok", "empty"}
    names = {name for key, value in counts.items() for name in (value if key == "statuses" else [key])}
    assert names - set(COUNTS) - set(GROUPS) == harmless


@pytest.mark.parametrize(
    ("first", "second", "terms"),
    [
        ({}, {"gt_sha256": "a", "score": "logprob"}, []),
        ({"gt_sha256": "a"}, {"gt_sha256": "b"}, ["gt_sha256"]),
        ({"label_match": "exact"}, {"label_match": "casefold"}, ["label_match"]),
        ({"metric": COCO}, {"metric": LVIS}, ["metric"]),
        ({}, {"metric": COCO}, []),
        ({"metric": COCO}, {"metric": "referring expressions"}, ["metric"]),
        ({"max_detections_of_ap": 100}, {"max_detections_of_ap": 300}, ["max_detections_of_ap"]),
        ({}, {"max_detections_of_ap": 300}, ["max_detections_of_ap"]),
    ],
)
def test_terms_in_which_runs_must_agree(first, second, terms):
    assert differing_terms([make_run(**first), make_run(**second)]) == terms


def test_terms_that_runs_share_appear_once(report):
    page = report(make_run("before", score="constant"), make_run(score="logprob"))
    table = page.html[page.html.index('aria-label="Protocol"') : page.html.index('aria-label="Counts"')]
    assert table.count("qwen2_vl") == table.count("constant") == table.count("logprob") == 1


def test_no_runs_is_an_error(tmp_path):
    with pytest.raises(GroundswiftError, match="no run"):
        write_report([], tmp_path / "report.html", None, "t", TABLE)
    assert list(tmp_path.iterdir()) == []


def test_the_same_runs_make_the_same_bytes(report):
    first, second = (report(make_run(images=[image_result()])).html for _ in range(2))
    assert first == second


def test_markdown_has_the_numbers_and_the_worst_images(report):
    markdown = report(make_run("before", value=0.125), make_run("after", THREE, value=0.5, counts={"missing": 2})).markdown
    assert "| AP | 0.125 | 0.500 | +0.375 |" in markdown
    assert "- 2 × " in markdown
    assert markdown.index("000001.jpg") < markdown.index("000003.jpg")
    assert "| star | 0.125 | 0.500 |" in markdown


def test_every_word_is_in_both_languages_with_the_same_places():
    for key, texts in words().items():
        assert all(texts), key
        english, chinese = (set(re.findall(r"{(\w+)}", text)) for text in texts)
        assert english == chinese, key


def test_no_word_is_unused(report):
    folder = Path(page_module.__file__).parent
    sources = "".join(path.read_text(encoding="utf-8") for path in folder.iterdir() if path.suffix in (".py", ".js", ".html"))
    computed = ("legend.", "outcome.", "status.", "change.", "sort.", "note.", "key.", "kind.")
    ids = {"numbers", "warnings", "curves", "plots", "tables", "classes", "images", "protocol", *OUTCOMES, "recall", "precision", "f1"}
    unused = [key for key in words() if f'"{key}"' not in sources and not key.startswith(computed) and key not in ids]
    assert unused == []
