"""The report as a reader and a browser meet it: well-formed, closed in itself, escaped, ordered, and honest about what is not there."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from growth import growth
from PIL import Image

from groundswift.box_drawing import place_tags
from groundswift.errors import GroundswiftError
from groundswift.eval.answers.counts import Counts
from groundswift.eval.compare import differing_terms, table_of
from groundswift.eval.count_ids import COUNTS, GROUPS
from groundswift.eval.evaluated_run import Curve, DrawnBox, ImageResult, Run
from groundswift.eval.metrics.coco_map import COCO, LVIS, CocoMap
from groundswift.eval.report.images import canvas_of
from groundswift.eval.report.page import write_report
from groundswift.eval.report.plot import points_of
from groundswift.eval.report.tables import number_text, signed_text, warnings_of

TABLE = CocoMap().table([{}])
KEYS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
VOID = {"meta", "link", "input", "br"}
HOSTILE = ["</script><img src=x onerror=alert(1)>", 'a "quoted" name', "it's <b>", "two\nlines", "闪电", "{{ 7 * 7 }}", "\u2028&amp;"]


class Page(HTMLParser):
    """Every element with its attributes, its text by element, and a check that all that opens closes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self.open:
            self.texts.append((self.open[-1], data))

    def all(self, tag: str, cls: str = "") -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag and (not cls or cls in (attrs.get("class") or "").split())]

    def text(self) -> str:
        return " ".join(text for tag, text in self.texts if tag not in ("style", "script"))


def image_result(image_id=1, label="star", outcome="true_positive", f1=1.0, status="ok", response="said so", size_wh=(112, 84)):
    box = (10.0, 12.0, 50.0, 60.0)
    truth = [DrawnBox(label, box, "false_negative" if outcome == "false_positive" else outcome)]
    predicted = [] if outcome == "false_negative" else [DrawnBox(label, box, outcome, 0.87)]
    return ImageResult(image_id, f"{image_id:06d}.jpg", size_wh, status, truth, predicted, f1, response)


def make_run(name="after", images=(), labels=("star",), value=0.5, counts=None, curves=None, **protocol):
    per_class = {label: {"AP": value, "AP50": value, "AP75": None, "AR100": value, "truths": 3, "predictions": 4} for label in labels}
    metrics = dict.fromkeys(KEYS, value) | {
        "per_class": per_class,
        "counts": counts or {"images": len(images)},
        "protocol": {"date": "2024-05-06", "family": "qwen2_vl", **protocol},
    }
    level = [-1.0 if value is None else value] * 101
    drawn = [Curve(None, iou, level) for iou in ("0.50", "0.75", "0.50:0.95")] + [Curve(label, "0.50", level) for label in labels]
    return Run(name, metrics, drawn if curves is None else curves, list(images))


THREE = [image_result(number, f1=number / 3) for number in range(1, 4)]
NOT_COMPARABLE = "The runs differ in score: their numbers are not comparable."


@pytest.fixture
def images_dir(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "out").mkdir()
    for i in range(1, 4):
        Image.new("RGB", (112, 84), (40 * i, 20, 60)).save(folder / f"{i:06d}.jpg")
    return folder


@pytest.fixture
def report(tmp_path, images_dir):
    def written(*runs, folder=images_dir, **options) -> Page:
        differing = differing_terms(runs)
        write_report(
            list(runs), tmp_path / "out" / "report.html", folder, options.pop("title", "A title"), table_of(runs), differing, **options
        )
        return Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))

    return written


@pytest.mark.parametrize("names", [("only",), ("before", "after"), ("base", "half", "whole")], ids=["one", "two", "three"])
def test_every_run_has_its_column_its_curves_and_its_figure(report, names):
    page = report(*(make_run(name, [image_result()], value=0.25 * i) for i, name in enumerate(names, 1)))
    assert all(name in page.text() for name in names)
    assert len(page.all("polyline", "curve")) == 4 * len(names)
    assert len(page.all("svg", "drawing")) == len(names)
    assert len(page.all("image")) == 1, "one embedded image serves all runs"
    assert len(page.all("use")) == len(names) - 1
    dashes = [line.get("stroke-dasharray") for line in page.all("polyline", "iou0")]
    assert dashes[-1] is None
    assert len(set(dashes)) == len(names)
    assert ("Difference" in page.text()) == (len(names) > 1)


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
    "a lone surrogate": ([make_run(images=[image_result(response="broken \ud800 text")])], {}, "\\ud800"),
    "an undefined curve": ([make_run(curves=[UNDEFINED, LEVEL])], {}, "precision is undefined: after, all classes, IoU 0.50."),
    "all images": ([make_run(images=THREE)], {}, "All 3 images"),
    "some images": ([make_run(images=THREE)], {"max_images": 2}, "The 2 worst of 3 images"),
    "none requested": ([make_run(images=THREE)], {"max_images": 0}, "None of 3 images was requested"),
    "a metric without images": ([make_run(labels=(), counts={"rows": 7})], {}, "AP 0.500, AP50 0.500 on 7 rows."),
    "an image that another run lacks": ([make_run("before"), make_run(images=[image_result()])], {}, "This run does not have this image"),
    "no folder": ([make_run(images=[image_result()])], {"folder": None}, "--images was not given"),
    "a file of another size": (
        [make_run(images=[image_result(size_wh=(84, 112))])],
        {},
        "The file has 112×84 px upright, the annotations say 84×112",
    ),
    "a clean run": ([make_run(counts={"images": 3, "missing": 0})], {}, "Nothing: every answer was read in full"),
    "runs that do not compare": ([make_run("before", score="constant"), make_run(score="logprob")], {}, NOT_COMPARABLE),
    "counts in groups": ([make_run(counts={"dropped": {"doubled_id": 7}})], {}, "dropped: doubled id"),
    "the protocol": ([make_run()], {}, "2024-05-06"),
}


@pytest.mark.parametrize("name", SAYS)
def test_what_the_page_says(report, name):
    runs, options, said = SAYS[name]
    page = report(*runs, **options)
    assert said in " ".join(page.text().split())
    assert ("not comparable" in page.text()) == (said == NOT_COMPARABLE)
    shown = min(len(runs[-1].images), options.get("max_images", 60))
    assert len(page.all("article")) == shown
    assert len(page.all("polyline", "curve")) == sum(max(curve.precision) >= 0 for run in runs for curve in run.curves)
    assert len(page.all("rect", "blank")) == (shown if options.get("folder", "images") is None else 0)


def test_nothing_is_asked_of_a_network(report):
    page = report(make_run(images=[image_result(1), image_result(9)], labels=HOSTILE))
    assert not re.search(r"(?i)(https?:)?//[a-z0-9]", re.sub(r"base64,[A-Za-z0-9+/=]+", "", page.html))
    targets = [value for _, attrs in page.elements for key, value in attrs.items() if key in ("src", "href", "srcset", "action")]
    assert targets
    assert all(target.startswith(("data:", "#")) for target in targets)
    assert "url(" not in page.html
    assert "@import" not in page.html


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_text_is_only_text(report, label):
    plain = report(make_run(images=[image_result()]))
    page = report(make_run(label, [image_result(label=label, response=label)], labels=[label]), title=label)
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements], "no element came from the text"
    assert not any(key.startswith("on") for _, attrs in page.elements for key in attrs)
    assert label in dict(page.texts)["h1"] + dict(page.texts)["title"]
    assert label in [text.removeprefix("\n") for tag, text in page.texts if tag == "pre"]
    assert len(page.all("script")) == 1


@pytest.mark.parametrize("undefined", [None, float("nan")], ids=["null", "nan"])
def test_undefined_is_a_dash_never_zero(report, undefined):
    page = report(make_run("a", value=undefined, labels=()), make_run("b", value=undefined, labels=()))
    table = page.html[page.html.index("All numbers") : page.html.index("AP is the mean precision")]
    cells = re.findall(r'<td class="n">(?:\s*<span class="change">)?([^<]*)<', table)
    assert cells == ["–"] * 12 * 3
    assert "nan" not in page.text().lower().split()


@pytest.mark.parametrize(
    ("value", "text", "signed"),
    [(0.0, "0.000", "0.000"), (-0.0001, "−0.000", "0.000"), (0.25, "0.250", "+0.250"), (-0.25, "−0.250", "−0.250"), (None, "–", "–")],
)
def test_number_text(value, text, signed):
    assert (number_text(value), signed_text(value)) == (text, signed)


def test_points_keep_the_corners_of_a_curve():
    assert points_of([1.0] * 51 + [0.0] * 50).split() == points_of([1.0] * 101).split()[:1] + points_of([1.0] * 51 + [0.0] * 50).split()[1:]
    assert len(points_of([1.0] * 51 + [0.0] * 50).split()) == 4
    assert points_of([-1.0] * 101) == ""


def test_images_are_sorted_by_f1_of_the_last_run(report):
    """Of equal F1, most errors come first; of equal errors, the lowest id."""
    before = make_run("before", [image_result(number, f1=number / 10) for number in range(5)])
    lost = [image_result(2, outcome="false_negative", f1=0.0), image_result(3, outcome="false_positive", f1=0.0)]
    page = report(before, make_run("after", [image_result(4), image_result(1), *lost]))
    assert re.findall(r"<h3>(\d+)\.jpg", page.html) == ["000003", "000002", "000001", "000004"]
    assert [row["data-kinds"] for row in page.all("article")] == ["false_negative false_positive", "false_negative", "", ""]


@pytest.mark.parametrize(
    ("content", "said"), [(None, "no such image"), (b"", "not a readable image"), (b"\xff\xd8\xff\xe0 cut", "not a readable image")]
)
def test_an_image_that_cannot_be_opened_is_grey_with_the_reason(report, images_dir, content, said):
    path = images_dir / "000001.jpg"
    path.unlink() if content is None else path.write_bytes(content)
    page = report(make_run(images=[image_result(1)]))
    assert said in page.text()
    assert page.all("image") == []
    assert len(page.all("rect", "blank")) == 1
    assert len(page.all("rect", "edge")) == 2 + 5, "truth and prediction, and the five of the legend"


def test_boxes_scale_to_the_canvas(report):
    page = report(make_run(images=[image_result()]))
    scale = 440 / 112
    edge = page.all("rect", "edge")[-1]
    expected = [10 * scale, 12 * scale, 40 * scale, 48 * scale]
    assert [float(edge[key]) for key in ("x", "y", "width", "height")] == pytest.approx(expected, abs=0.05)


def test_outcomes_are_drawn_and_named(report):
    boxes = [
        DrawnBox("star", (1.0, 1.0, 30.0, 30.0), outcome) for outcome in ("true_positive", "false_negative", "crowd", "false_positive")
    ]
    image = ImageResult(1, "000001.jpg", (112, 84), "ok", boxes[:3], [boxes[0], boxes[3]], 0.5)
    page = report(make_run(images=[image]))
    kinds = [attrs["class"] for attrs in page.all("g", "shape") if "data-class" in attrs and "tag" not in attrs["class"].split()]
    assert sorted(kinds) == [
        "shape predicted false_positive",
        "shape predicted true_positive",
        "shape truth crowd",
        "shape truth false_negative",
        "shape truth true_positive",
    ]
    assert "1 TP, 1 FN, 1 FP" in page.text()
    tooltips = {text[text.index("(") : text.index(")") + 1] for tag, text in page.texts if tag == "title" and "] px" in text}
    assert tooltips == {
        "(ground truth, true positive)",
        "(ground truth, false negative)",
        "(ground truth, crowd)",
        "(prediction, true positive)",
        "(prediction, false positive)",
    }


@pytest.mark.parametrize("status", ["unreadable", "truncated", "missing"])
def test_filters_name_every_class_once_and_lost_answers(report, status):
    page = report(make_run(images=[image_result(label="unknown thing", status=status)], labels=("star", "bolt")))
    assert [text for tag, text in page.texts if tag == "option"][:4] == ["all classes", "star", "bolt", "unknown thing"]
    (row,) = page.all("article")
    assert (row["data-classes"], row["data-kinds"]) == ("2", "lost")


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


def test_large_images_shrink_and_small_ones_keep_their_pixels(report, images_dir):
    Image.effect_noise((3000, 2000), 80).convert("RGB").save(images_dir / "000002.jpg")
    page = report(make_run(images=[image_result(1), image_result(2, size_wh=(3000, 2000))]))
    assert len(page.html) < 300_000
    assert [image.get("class") for image in page.all("image")] == ["pixels", None]


@pytest.mark.parametrize("size_wh", [(1000, 20), (20, 1000), (1, 1), (640, 480)])
def test_tags_are_on_the_canvas(size_wh):
    canvas_wh, (x, y, width, height) = canvas_of(size_wh)
    assert width / height == pytest.approx(size_wh[0] / size_wh[1])
    tags = place_tags(
        [(x, y, width, height)] * 3, [("a label that is rather long, and goes on", " 0.99")] * 3, [True, False, True], canvas_wh
    )
    assert all(0 <= tag.x <= canvas_wh[0] - tag.width + 1e-9 and 0 <= tag.y <= canvas_wh[1] - 19 for tag in tags)
    assert all(tag.text == "a label that is rathe… 0.99" for tag in tags)


def test_tags_avoid_each_other():
    tags = place_tags([(100.0, 100.0, 200.0, 200.0)] * 4, [("star", "")] * 4, [False] * 4, (440.0, 440.0))
    assert len({(tag.x, tag.y) for tag in tags}) == 4


def test_no_runs_is_an_error(tmp_path):
    with pytest.raises(GroundswiftError, match="no run"):
        write_report([], tmp_path / "report.html", None, "t", TABLE)
    assert list(tmp_path.iterdir()) == []


def test_the_same_runs_make_the_same_bytes(report):
    first, second = (report(make_run(images=[image_result()])).html for _ in range(2))
    assert first == second


def test_time_of_tags_grows_with_their_number_and_not_its_square():
    random = np.random.default_rng(0)
    boxes = np.hstack([random.uniform(0, 400, (2_400, 2)), random.uniform(2, 40, (2_400, 2))]).tolist()

    def place(count: int) -> None:
        place_tags(boxes[:count], [("class", " 0.50")] * count, [False] * count, (440.0, 440.0))

    assert growth(place, 300, 2_400) < 3 * 8


def test_thousands_of_boxes_in_one_image_make_a_report(report):
    boxes = [DrawnBox("cat", (x % 97, x % 89, x % 97 + 9.5, x % 89 + 7), "false_positive", 0.5) for x in range(3000)]
    page = report(make_run(labels=["cat"], images=[ImageResult(1, "1.jpg", (112, 100), "ok", [], boxes, 0.0)]))
    assert page.html.count("<g class=") > 3000


OUTSIDE = ["../secret.png", "a/../../secret.png", "{root}/secret.png", "{root}/images/../secret.png"]
NO_IMAGE = [*OUTSIDE, "", ".", "..", "a\0b", "file://{root}/secret.png", "pipe.png"]
INSIDE = ["a/b.png", "./a/b.png", "a/../a/b.png", "{root}/images/a/b.png", "{root}/images/a/../a/b.png"]


@pytest.mark.parametrize(("name", "shown"), [*((name, False) for name in NO_IMAGE), *((name, True) for name in INSIDE)])
def test_only_images_inside_the_folder_are_shown(tmp_path, report, name, shown):
    (tmp_path / "images" / "a").mkdir()
    os.mkfifo(tmp_path / "images" / "pipe.png")
    for place in ("secret.png", "images/a/b.png"):
        Image.new("RGB", (112, 84), "red").save(tmp_path / place)
    image = image_result()
    image.file_name = name.format(root=tmp_path)
    text = report(make_run(images=[image])).html
    assert ("data:image/jpeg" in text, "No image: " in text) == (shown, not shown)


@pytest.mark.parametrize("boxes", [[], [(10.0, 12.0, 50.0, 60.0)], [(-5.0, -5.0, -1.0, -1.0)], [(0.0, 0.0, 1e300, 3.0)]])
def test_an_image_of_unknown_size_is_drawn_around_its_boxes(report, boxes):
    image = ImageResult(1, "000001.jpg", (0, 0), "ok", [DrawnBox("star", box, "false_negative") for box in boxes], [], 0.0)
    page = report(make_run(images=[image]))
    assert len(page.all("rect", "edge")) == len(boxes) + 5, "the boxes, and the five of the legend"
