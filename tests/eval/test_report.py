"""The report as a parser meets it: well-formed, closed in itself, escaped, ordered, and honest about what is not there."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from growth import growth
from PIL import Image

from groundswift.errors import GroundswiftError
from groundswift.eval.answers.counts import Counts
from groundswift.eval.compare import differing_terms, table_of
from groundswift.eval.count_ids import COUNTS, GROUPS
from groundswift.eval.evaluated_run import OUTCOMES, Curve, DrawnBox, ImageResult, Line, Number, Plot, Run, Table
from groundswift.eval.metrics.coco_map import COCO, LVIS, CocoMap
from groundswift.eval.report import page as page_module
from groundswift.eval.report.image_index import CHUNK, LONGEST_TEXT, PREDICTED, changes, data_of, worst_first
from groundswift.eval.report.page import json_bytes, write_report
from groundswift.eval.report.plots import Scale, number_ticks, range_of, stretches_of
from groundswift.eval.report.tables import number_text, signed_text, warnings_of
from groundswift.eval.report.thumbnails import Look, jpeg, look_for
from groundswift.eval.report.words import words
from groundswift.images import OpenedImage

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

    def block(self, id: str) -> object:
        """The JSON of a part of the page."""
        (text,) = re.findall(rf'<script type="application/json" id="{id}">(.*?)</script>', self.html, re.DOTALL)
        return json.loads(text)

    @property
    def index(self) -> dict:
        return self.block("setup")["index"]

    def all(self, tag: str, cls: str = "") -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag and (not cls or cls in (attrs.get("class") or "").split())]

    def text(self) -> str:
        return " ".join(text for tag, text in self.texts if tag not in ("style", "script"))


def image_result(image_id=1, label="star", outcome="true_positive", f1=1.0, status="ok", response="said so", size_wh=(112, 84)):
    box = (10.0, 12.0, 50.0, 60.0)
    truth = [DrawnBox(label, box, "false_negative" if outcome == "false_positive" else outcome)]
    predicted = [] if outcome == "false_negative" else [DrawnBox(label, box, outcome, 0.87 + image_id / 1000)]
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
        page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
        page.markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
        return page

    return written


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


@pytest.mark.parametrize("undefined", [None, float("nan")], ids=["null", "nan"])
def test_undefined_is_a_dash_never_zero(report, undefined):
    page = report(make_run("a", value=undefined, labels=()), make_run("b", value=undefined, labels=()))
    table = page.html[page.html.index('aria-label="Numbers"') : page.html.index("AP is the mean precision")]
    cells = re.findall(r'<td class="n">(?:\s*<span class="change">)?([^<]*)<', table)
    assert cells == ["–"] * 12 * 3
    assert "nan" not in page.text().lower().split()


@pytest.mark.parametrize(
    ("value", "text", "signed"),
    [(0.0, "0.000", "0.000"), (-0.0001, "−0.000", "0.000"), (0.25, "0.250", "+0.250"), (-0.25, "−0.250", "−0.250"), (None, "–", "–")],
)
def test_number_text(value, text, signed):
    assert (number_text(value), signed_text(value)) == (text, signed)


UNIT = Scale((0, 1), (0, 1))


def points_of(values):
    return stretches_of([None if value is None else (i / 100, value) for i, value in enumerate(values)], UNIT)


def test_points_keep_the_corners_of_a_curve():
    (corners,) = points_of([1.0] * 51 + [0.0] * 50)
    assert len(corners.split()) == 4
    assert points_of([None] * 101) == []
    assert [len(stretch.split()) for stretch in points_of([0.1, 0.2, None, 0.5, 0.4, 0.6])] == [2, 3]


@pytest.mark.parametrize(
    ("low", "high", "ticks"), [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 320, [0, 100, 200, 300]), (-3, 4, [-2, 0, 2, 4]), (1e-9, 5e-9, 5)]
)
def test_ticks_are_round_numbers(low, high, ticks):
    found = number_ticks(low, high)
    assert len(found) == ticks if isinstance(ticks, int) else found == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("values", "expected"), [([], (0, 1)), ([0.5], (0, 1)), ([None, float("nan"), 1e300], (0, 1)), ([5.0], (0, 5)), ([-4.0, 8], (-4, 8))]
)
def test_the_range_of_an_axis_ignores_what_is_undefined(values, expected):
    assert range_of(values, from_zero=True) == expected


def test_images_are_sorted_by_f1_of_the_last_run(report):
    """Of equal F1, most errors come first; of equal errors, the lowest id."""
    before = make_run("before", [image_result(number, f1=number / 10) for number in range(5)])
    lost = [image_result(2, outcome="false_negative", f1=0.0), image_result(3, outcome="false_positive", f1=0.0)]
    page = report(before, make_run("after", [image_result(4), image_result(1), *lost]))
    index = page.index
    assert index["id"] == [3, 2, 1, 4]
    assert [index["files"][place] for place in index["file"]] == ["000003.jpg", "000002.jpg", "000001.jpg", "000004.jpg"]
    assert (index["runs"][1]["tp"], index["runs"][1]["fn"], index["runs"][1]["fp"]) == ([0, 0, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0])
    assert index["runs"][0]["f1"] == [0.3, 0.2, 0.1, 0.4]


@pytest.mark.parametrize(("higher", "expected"), [(True, [2, 1, 3]), (False, [1, 2, 3])])
def test_samples_without_f1_are_sorted_by_their_first_value(higher, expected):
    images = [image_result(n, f1=None) for n in (1, 2, 3)]
    for image, value in zip(images, (0.9, 0.1, None), strict=True):
        image.values = {"judge": "yes", "CER": value}
    images[0].values["CER"], images[1].values["CER"] = 0.9, 0.1
    assert [image.image_id for image in worst_first(images, [Number("cer", "CER", higher_is_better=higher)])] == expected


def test_samples_of_one_image_share_its_thumbnail(report):
    images = [image_result(1, f1=None) for _ in range(3)]
    for number, image in enumerate(images):
        image.sample_id, image.question, image.values = f"s{number}", f"What is {number}?", {"exact": number / 2}
    page = report(make_run(images=images))
    assert page.index["sample"] == ["s0", "s1", "s2"]
    assert page.index["file"] == [0, 0, 0]
    assert len(page.block("t0")) == 1
    assert [row[0]["q"] for row in page.block("d0")] == ["What is 0?", "What is 1?", "What is 2?"]


def test_every_image_is_in_the_page(report, images_dir):
    count = 2 * CHUNK + 3
    for number in range(count):
        Image.new("RGB", (112, 84), (number, 20, 60)).save(images_dir / f"{number:06d}.jpg")
    page = report(make_run(images=[image_result(number, f1=number / count) for number in range(count)]))
    thumbnails = [image for chunk in range(3) for image in page.block(f"t{chunk}")]
    assert len(thumbnails) == len(page.index["id"]) == sum(len(page.block(f"d{chunk}")) for chunk in range(3)) == count
    for number, text in enumerate(thumbnails):
        with Image.open(BytesIO(base64.b64decode(text))) as image:
            assert abs(image.convert("RGB").getpixel((50, 40))[0] - number) < 6
    assert page.block("setup")["images"] == "../images/"


def thumbnail_of(page):
    """(the image or None, key of its note, places of the note) of the first image."""
    found = page.block("t0")[0]
    text, *note = [found] if isinstance(found, str) else found
    return Image.open(BytesIO(base64.b64decode(text))) if text else None, *(note or (None, {}))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "no such image"), (b"", "not a readable image"), (b"\xff\xd8\xff\xe0 cut", "not a readable image")]
)
def test_an_image_that_cannot_be_opened_has_the_reason(report, images_dir, content, said):
    path = images_dir / "000001.jpg"
    path.unlink() if content is None else path.write_bytes(content)
    image, key, places = thumbnail_of(report(make_run(images=[image_result(1)])))
    assert (image, key) == (None, "note.error")
    assert said in places["error"]


def test_a_file_of_another_size_is_said(report):
    image, key, places = thumbnail_of(report(make_run(images=[image_result(size_wh=(84, 112))])))
    assert image.size == (112, 84)
    assert (key, places) == ("note.size", {"file": "112×84", "stated": "84×112"})


def test_without_a_folder_there_are_boxes_and_no_thumbnails(report):
    page = report(make_run(images=[image_result()]), folder=None)
    assert page.block("setup")["images"] is None
    assert 'id="t0"' not in page.html
    assert len(page.block("d0")[0][0]["b"]) == 14


def test_a_run_without_an_image_has_null(report):
    page = report(make_run("before"), make_run(images=[image_result()]))
    assert page.block("d0")[0][0] is None
    assert page.index["runs"][0]["status"] == page.index["runs"][0]["f1"] == [None]


def test_boxes_are_in_pixels_with_their_outcomes(report):
    names = ("true_positive", "false_negative", "crowd", "false_positive")
    boxes = [DrawnBox("star", (1.04, 1.0, 30.0, 30.25), outcome, None if outcome != "false_positive" else 0.25) for outcome in names]
    page = report(make_run(images=[ImageResult(1, "000001.jpg", (112, 84), "ok", boxes[:3], [boxes[0], boxes[3]], 0.5)]))
    flat = page.block("d0")[0][0]["b"]
    rows = [flat[place : place + 7] for place in range(0, len(flat), 7)]
    assert [OUTCOMES[row[0] % PREDICTED] for row in rows] == [*names[:3], names[0], names[3]]
    assert [row[0] >= PREDICTED for row in rows] == [False] * 3 + [True] * 2
    assert {tuple(row[1:6]) for row in rows} == {(0, 1.0, 1.0, 30.0, 30.2)}
    assert [row[6] for row in rows] == [None] * 4 + [0.25]
    assert page.index["classes"] == [[0 * 32 + 1 + 2 + 4 + 8]]


def test_what_changed_between_two_runs(report):
    def seen(*outcomes, f1):
        boxes = [DrawnBox("star", (n, 0.0, n + 1.0, 1.0), outcome) for n, outcome in enumerate(outcomes)]
        return ImageResult(1, "000001.jpg", (112, 84), "ok", boxes, [], f1)

    hit, miss = "true_positive", "false_negative"
    assert changes(seen(miss, hit, f1=0.5), seen(hit, miss, f1=0.5)) == 3
    assert changes(seen(miss, f1=0.0), seen(hit, f1=1.0)) == 1
    assert changes(seen(hit, f1=1.0), seen(miss, f1=0.0)) == 2
    assert changes(seen(hit, f1=1.0), seen(hit, f1=0.5)) == 2, "a new false positive"
    assert changes(seen(hit, f1=1.0), seen(hit, f1=1.0)) == changes(None, seen(hit, f1=1.0)) == 0
    for value, lower, expected in ((0.9, False, 1), (0.9, True, 2), (0.1, False, 2), (0.5, False, 0), (None, False, 0)):
        pair = image_result(1, f1=None), image_result(1, f1=None)
        pair[0].values, pair[1].values = {"CER": 0.5}, {"CER": value}
        assert changes(*pair, "CER", lower) == expected
    page = report(make_run("before", [seen(miss, f1=0.0)]), make_run("after", [seen(hit, f1=1.0)]))
    assert page.index["change"] == [1]


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


@pytest.mark.parametrize(("count", "side"), [(1, 480), (400, 480), (401, 256), (5000, 160), (20_000, 112), (10**6, 112)])
def test_the_more_images_the_smaller_they_are(count, side):
    look = look_for(count)
    assert look.side == side
    assert count > 25_000 or count * look.most_bytes * 4 / 3 < 120e6


SMALL = {(112, 84): (112, 84), (640, 480): (160, 120), (500, 375): (200, 150), (90, 900): (23, 225), (1000, 3000): (67, 200)}


@pytest.mark.parametrize(("size_wh", "expected"), SMALL.items())
def test_large_images_shrink_and_small_ones_keep_their_pixels(images_dir, size_wh, expected):
    Image.effect_noise(size_wh, 80).convert("RGB").save(images_dir / "000001.jpg")
    small = OpenedImage(images_dir / "000001.jpg").decode_small(160)
    with Image.open(BytesIO(jpeg(small, Look(160, 65, 80_000)))) as image:
        assert image.size == expected


def test_a_thumbnail_that_would_be_too_large_is_of_lower_quality():
    noise = Image.effect_noise((160, 120), 120).convert("RGB")
    assert len(jpeg(noise, Look(160, 65, 3000))) < 0.8 * len(jpeg(noise, Look(160, 65, 80_000)))


def test_no_runs_is_an_error(tmp_path):
    with pytest.raises(GroundswiftError, match="no run"):
        write_report([], tmp_path / "report.html", None, "t", TABLE)
    assert list(tmp_path.iterdir()) == []


def test_the_same_runs_make_the_same_bytes(report):
    first, second = (report(make_run(images=[image_result()])).html for _ in range(2))
    assert first == second


def test_time_grows_with_the_boxes_of_an_image_and_not_their_square(report):
    boxes = [DrawnBox("cat", (x % 97, x % 89, x % 97 + 9.5, x % 89 + 7), "false_positive", 0.5) for x in range(16_000)]
    truth = [DrawnBox("cat", box.box_xyxy_px, "false_negative") for box in boxes]

    def write(count: int) -> None:
        report(make_run(labels=["cat"], images=[ImageResult(1, "1.jpg", (112, 100), "ok", truth[:count], boxes[:count], 0.0)]))

    assert growth(write, 2_000, 16_000) < 3 * 8


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
    found, key, _ = thumbnail_of(report(make_run(images=[image])))
    assert (found is not None, key in ("note.outside", "note.error")) == (shown, not shown)


@pytest.mark.parametrize(
    ("name", "href"), [("a b.png", None), ("./a/b.png", "a/b.png"), ("{root}/images/a/b.png", "a/b.png"), ("../secret.png", None)]
)
def test_links_lead_into_the_image_folder(tmp_path, report, name, href):
    image = image_result()
    image.file_name = name.format(root=tmp_path)
    assert list(report(make_run(images=[image])).index["hrefs"].values()) == ([href] if href else [])


@pytest.mark.parametrize("box", [(-5.0, -5.0, -1.0, -1.0), (0.0, 0.0, 1e300, 3.0)])
def test_coordinates_are_numbers_that_a_browser_can_draw(report, box):
    image = ImageResult(1, "000001.jpg", (0, 0), "ok", [DrawnBox("star", box, "false_negative")], [], 0.0)
    flat = report(make_run(images=[image])).block("d0")[0][0]["b"]
    assert flat[2:6] == [min(value, 1e7) for value in box]


def run_of_one_score(outcomes, **protocol):
    boxes = [DrawnBox("star", (1.0, 1.0, 9.0, 9.0), outcome, 1.0) for outcome in outcomes]
    truth = [box for box in boxes if box.outcome != "false_positive"]
    found = [box for box in boxes if box.outcome != "false_negative"]
    return make_run(images=[ImageResult(1, "000001.jpg", (112, 84), "ok", truth, found, 0.5)], **protocol)


@pytest.mark.parametrize("protocol", [{"score": "constant"}, {}])
def test_one_score_is_one_point_and_not_a_curve(report, protocol):
    page = report(run_of_one_score(["true_positive"] * 3 + ["false_negative"] + ["false_positive"] * 2, **protocol))
    assert "one operating point and not a curve: precision 0.600, recall 0.750 at IoU 0.50." in page.text()
    assert page.all("polyline") == []
    all_classes, star = page.all("circle")
    assert all_classes == star
    assert (float(all_classes["cx"]), float(all_classes["cy"])) == (pytest.approx(64 + 0.75 * 560), pytest.approx(370 - 0.6 * 356, abs=0.1))


def test_one_score_without_predictions_is_said(report):
    page = report(run_of_one_score(["false_negative"], score="constant"))
    assert "its operating point is undefined" in page.text()
    assert page.all("circle") == []


def test_tables_and_plots_of_a_metric_are_drawn(report):
    run = make_run(images=[image_result()])
    run.tables = [
        Table("confusion", "Confusion matrix", ["", "cat", "dog"], [["cat", 8.0, 2.0], ["dog", 0.0, 4.0]], matrix=True),
        Table("tide", "Errors", ["error", "AP"], [["background", None], ["class", 0.25], ["all", 1.0]]),
    ]
    lines = [Line("a", [0.1, 0.5, 0.9], [0.2, None, 0.8]), Line("b", [0.1, 0.5, 0.9], [0.3, 0.1, 0.1])]
    run.plots = [Plot(kind, kind, "x", "y", lines, kind=kind, diagonal=kind == "points") for kind in ("line", "bars", "points")]
    page = report(run)
    cells = re.findall(
        r'<td class="n( zero)?"(?: style="--heat:(\d+)%")?>([^<]*)</td>', page.html.split('id="table-confusion"')[1].split("</table>")[0]
    )
    assert cells == [("", "100", "8"), ("", "25", "2"), (" zero", "", "0"), ("", "100", "4")]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", page.html.split('id="table-tide"')[1].split("</table>")[0]) == ["–", "0.250", "1.000"]
    drawings = {kind: page.html.split(f'id="plot-{kind}"')[1].split("</svg>")[0] for kind in ("line", "bars", "points")}
    assert drawings["line"].count("<polyline") == 3, "a is undefined in its middle"
    assert drawings["bars"].count("<rect") == drawings["points"].count("<circle") == 5
    assert [kind for kind, text in drawings.items() if 'class="diagonal"' in text] == ["points"]
    assert "| cat | 8 | 2 |" in page.markdown


def test_intervals_are_next_to_their_numbers(report):
    run = make_run()
    run.metrics["intervals"] = {"AP": (0.4, 0.6)}
    page = report(run)
    assert page.text().count("[0.400, 0.600]") == 2
    assert "| AP | 0.500 \\[0.400, 0.600\\] |" in page.markdown


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


def test_a_huge_answer_does_not_fill_the_page():
    image = ImageResult(1, "1.jpg", (10, 10), "ok", [], [], response="\u732b" * 3_000_000, values={"text": "x" * 3_000_000, "cer": 0.5})
    found = data_of(image, {})
    assert found["r"] == "\u732b" * LONGEST_TEXT + " \u2026 (20,000 / 3,000,000)"
    assert (len(found["v"]["text"]), found["v"]["cer"]) == (len(found["r"]), 0.5)
