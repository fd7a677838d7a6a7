"""The Chinese of titles, counts, tables and warnings of the page; what Markdown and the first line say of runs of text."""

from __future__ import annotations

import re

import pytest
from evaluated import call, coco_of, write_json, write_rows
from PIL import Image
from test_captions import CAPTIONS, rows_of
from test_parity import CAT, answer, parity

from groundswift.eval.count_ids import COUNTS, GROUPS, TITLES
from groundswift.eval.evaluated_run import Run, Table
from groundswift.eval.metrics import METRICS
from groundswift.eval.parity.comparison import NUMBERS
from groundswift.eval.report import page
from groundswift.eval.report.words import chinese, translated
from groundswift.grammars.parse_warnings import WARNINGS

CHINESE = re.compile("[\u4e00-\u9fff]")
NAMES = re.compile(r"[A-Z][\w-]*[0-9A-Zlmsr]?|F1, IoU .*|gRefCOCO F1 = 1|gRefCOCO N-acc")  # of numbers, the same in both languages


def is_chinese(text: str) -> bool:
    return bool(CHINESE.search(translated(text)[1]) or NAMES.fullmatch(text))


TEXTS = {
    "titles": [number.title for name in METRICS if name != "protocols" for number in METRICS[name].numbers],
    "titles of parity": [number.title for number in NUMBERS],
    "explanations": [text for name in METRICS if (text := METRICS[name]().table([{}]).explanation)],
    "counts": [*COUNTS.values(), *GROUPS.values(), *TITLES.values(), *WARNINGS.values()],
    "filled in": ["recall at 5", "accuracy at IoU 0.75", "row skipped: duplicate row", "box of an unknown class: '\u864e'"],
}


@pytest.mark.parametrize("kind", TEXTS)
def test_all_texts_have_chinese(kind):
    assert [text for text in TEXTS[kind] if not is_chinese(text)] == []


def test_what_differs_is_filled_in():
    english = "3 of 5 questions have no answer in the result; each counts as an empty one"
    assert translated(english) == (
        english,
        "3 / 5 \u4e2a\u95ee\u9898\u5728\u7ed3\u679c\u91cc\u6ca1\u6709\u56de\u7b54\uff0c\u5404\u7b97\u4f5c\u7a7a\u56de\u7b54",
    )
    assert translated("a thing of a metric's own") == ("a thing of a metric's own",) * 2


def test_both_languages_have_the_same_places():
    exact, patterns = chinese()
    assert [text for text in exact.values() if "{}" in text] == []
    assert [pattern.pattern for pattern, text in patterns if pattern.groups != text.count("{}")] == []


def test_warnings_of_a_run_are_in_chinese(tmp_path):
    rows = [{"sample_id": 1, "size_wh": [100, 100], "response": "<ref>tiger</ref>"}]
    gt = write_json(tmp_path / "gt.json", coco_of((100, 100), [(1, 1, [1, 1, 50, 50])], [1, 2, 3]))
    call("coco-map", write_rows(tmp_path / "r.jsonl", rows), "--gt", gt, "--family", "qwen2_vl", "--out", tmp_path / "out")
    html = (tmp_path / "out" / "report.html").read_text()
    part = html[html.index('id="warnings"') : html.index("</section>", html.index('id="warnings"'))]
    texts = re.findall(r'data-zh="([^"]*)"', part)
    assert len(texts) > 4
    assert any("1 / 3" in text or "2 / 3" in text for text in texts), "the warning of images without a row"
    assert [text for text in texts if not CHINESE.search(text)] == []


def test_markdown_of_text_has_references_and_no_counts_of_boxes(tmp_path):
    call("captions", write_rows(tmp_path / "r.jsonl", rows_of(CAPTIONS)), "--out", tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "## 4 of 4 samples, worst first\n\n| Image | Answer | Question | Values | References | Response |\n" in text
    assert "A brown dog runs across green grass. / The dog is running on the grass" in text


def test_the_reference_of_a_parity_has_its_samples(tmp_path):
    rows = [answer(number, CAT) for number in range(24)]
    parity(tmp_path, rows, rows)
    html = (tmp_path / "out" / "report.html").read_text()
    assert "on 24 images." in html
    assert "0 \u2192 24" not in html


def test_images_beyond_the_limit_are_counted_with_the_command_that_shows_them(tmp_path, monkeypatch):
    from report_page import image_result, make_run

    monkeypatch.setattr(page, "MOST_EMBEDDED", 2)
    (tmp_path / "my images").mkdir()
    for number in range(1, 6):
        Image.new("RGB", (112, 84)).save(tmp_path / "my images" / f"{number:06d}.jpg")
    run: Run = make_run("scored", [image_result(number, f1=number / 9) for number in range(1, 6)])
    page.write_report([run], tmp_path / "report.html", tmp_path / "my images", "title", METRICS["coco_map"]().table([run.metrics]))
    html = (tmp_path / "report.html").read_text()
    said = "3 of 5 images have no thumbnail in this file, which holds the first 2. All are shown by: groundswift browse scored --images "
    assert said in html
    assert f"&#39;{tmp_path / 'my images'}&#39;" in html


def question_run(name: str, wrong: int) -> Run:
    """Two questions to each of 3 images, whose first value is 0 in `wrong` of them, and a row of boxes with its F1; groups by stage."""
    from report_page import image_result, make_run

    images = [image_result(number, f1=None, status="truncated" if number == 5 else "ok") for number in range(6)]
    for number, image in enumerate(images):
        image.truth, image.predicted, image.sample_id, image.file_name = [], [], f"q{number}", f"/data/set/video{number // 2}/f.jpg"
        image.values = {"exact match": float(number >= wrong), "verdict": "anomaly", "chosen": "B"}
    images += [image_result(9, f1=0.5)]
    images[-1].sample_id = "boxes"
    run = make_run(name, images, labels=(), curves=[])
    run.metrics["per_class"] = {"stage: 2": {"exact": 0.5, "samples": 6}}
    run.tables = [Table("groups", "Groups", ["group", "exact match"], [["stage: 2", 0.5], ["all", 0.5], ["shift: normal", 0.5]])]
    return run


def test_questions_are_counted_ordered_and_named_in_both_languages(report):
    page = report(question_run("a", 2))
    assert "on 4 images." in page.text(), "files, not questions"
    assert "Worst first, by F1 or exact match, then by false negatives" in page.text()
    assert page.index["sample"][:3] == ["q0", "q1", "boxes"], "wrong answers before a box of F1 0.5"
    setup = page.block("setup")
    words = {"exact match": "完全匹配", "verdict": "判断", "anomaly": "异常", "chosen": "所选", "ok": "正常读取", "truncated": "被截断"}
    assert setup["titles"] == words, "of cards: not the chosen letter, which is of the data"
    assert setup["classes"] == ["star"], "groups of questions are not classes of boxes"
    assert ("a", {"href": "#classes"}) not in page.elements, "a section that is not there"
    heads = re.findall(r'<th scope="row"><span data-zh="([^"]*)">', page.html.split('id="table-groups"')[1].split("</table>")[0])
    assert heads == ["阶段：2", "全部", "shift: normal"]


def test_every_kind_of_word_of_an_anomaly_report_has_chinese(tmp_path):
    """Titles of plots and tables, legends, notes, heads of groups: what does not come from the data."""
    from test_anomaly import WORDS
    from test_verdict_roc import drawn_rows

    call("anomaly", write_rows(tmp_path / "r.jsonl", drawn_rows()), *WORDS, "--out", tmp_path / "out")
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    parts = [html[html.index(f'id="{id}"') : html.index("</section>", html.index(f'id="{id}"'))] for id in ("plots", "tables")]
    texts = [text for part in parts for text in re.findall(r'data-zh="([^"]*)"', part)]
    assert len(texts) > 60
    names = re.compile(r"AUROC|AP|F1-max|TPR|FPR|ROC|ANLS|[A-Z0-9 .-]*")
    assert [text for text in texts if not CHINESE.search(text) and not names.fullmatch(text)] == []
