"""The report in headless Chromium: opened from its file, filtered, clicked, and looked at."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium
from PIL import Image

from groundswift.eval.evaluated_run import Curve, DrawnBox, ImageResult, Line, Number, NumberTable, Plot, Run, Table
from groundswift.eval.report.page import write_report

pytestmark = pytest.mark.process
HOSTILE = "</script><img src=x onerror=document.title='hacked'>"
TABLE = NumberTable([Number("AP", "AP", headline=True)], (), ("AP",), "AP is a number.")
COUNT = 120
GREEN, BLUE, RED = (53, 212, 131), (98, 180, 255), (255, 116, 99)
DRAWN = "#cards[data-ready]"


def image_of(number: int, found: bool) -> ImageResult:
    """Image 1 to COUNT: one object, found or not, and every tenth with a false positive of a hostile class as well."""
    box = (10.0, 12.0, 50.0, 60.0)
    truth = [DrawnBox("cat" if number % 2 else "dog", box, "true_positive" if found else "false_negative")]
    moved = (10.0, 12.0, 50.0, 36.0)
    predicted = [DrawnBox(truth[0].label, box if found else moved, "true_positive" if found else "false_positive", 0.9)]
    if number % 10 == 0:
        predicted.append(DrawnBox(HOSTILE, (70.0, 10.0, 100.0, 40.0), "false_positive", 0.4))
    if number == 33:
        predicted.append(DrawnBox("unicorn", (70.0, 50.0, 100.0, 70.0), "unknown_label", 0.4))
    status = "truncated" if number == 7 else "ok"
    f1 = 1.0 if found else 0.0
    return ImageResult(number, f"{number:03d}.jpg", (112, 84), status, truth, predicted, f1, f"answer {number} {HOSTILE}")


def run_of(name: str, found: range) -> Run:
    metrics = {
        "AP": 0.5,
        "per_class": {c: {"AP": 0.5, "truths": 1, "predictions": 1} for c in ("cat", "dog")},
        "counts": {},
        "warnings": [],
    }
    curves = [Curve(None, "0.50", [1 - i / 100 for i in range(101)]), Curve("dog", "0.50", [0.5] * 101)]
    run = Run(name, metrics, curves, [image_of(number, number in found) for number in range(1, COUNT + 1)])
    run.tables = [Table("confusion", "Confusion", ["", "cat"], [[HOSTILE, 3.0]], matrix=True)]
    run.plots = [Plot("cal", HOSTILE, "x", "y", [Line("a", [0, 1], [0, 1])], diagonal=True)]
    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """The report of one run, and of two."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "images").mkdir()
    for number in range(1, COUNT + 1):
        Image.new("RGB", (112, 84), (90, 90, 90 + number)).save(folder / "images" / f"{number:03d}.jpg", quality=95)
    before, after = run_of("before", range(1, 60)), run_of("after", range(30, 101))
    for name, runs in {"one": [after], "two": [before, after]}.items():
        write_report(runs, folder / f"{name}.html", folder / "images", HOSTILE, TABLE)
    return {name: folder / f"{name}.html" for name in ("one", "two")}


@pytest.fixture
def opened(browser, pages) -> Iterator[Any]:
    """Open a report with a state. A page that had an error, or asked a network, fails the test."""
    views = []

    def open_page(name: str = "one", state: str = "") -> Any:
        view = browser.new_page(viewport={"width": 1300, "height": 900}, accept_downloads=True, locale="en-US")
        view.problems = []
        view.on("pageerror", lambda error: view.problems.append(str(error)))
        view.on("console", lambda message: view.problems.append(message.text) if message.type == "error" else None)
        view.on(
            "request", lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else view.problems.append(request.url)
        )
        views.append(view)
        view.goto(f"{pages[name].as_uri()}{state}")
        view.wait_for_selector(DRAWN, state="attached")
        return view

    yield open_page
    problems = [problem for view in views for problem in view.problems]
    for view in views:
        view.close()
    assert problems == []


def numbers(view: Any) -> list[int]:
    """The ids of the images that are shown, when all are drawn."""
    view.wait_for_selector(DRAWN, state="attached")
    return [int(text) for text in view.locator(".card .name .quiet").all_inner_texts()]


def choose(view: Any, key: str, value: str) -> list[int]:
    """Set a filter and return what is shown."""
    control = view.locator(f"#filter-{key}")
    if control.evaluate("e => e.tagName") == "SELECT":
        control.select_option(value)
    else:
        control.fill(value)
        control.press("Enter") if key == "q" else control.blur()
    until(view, f"new URLSearchParams(location.hash.slice(1)).get({json.dumps(key)}) === {json.dumps(value)}")
    return numbers(view)


def until(view: Any, condition: str) -> None:
    """Wait for a condition in JavaScript. (Playwright's own way evaluates it within the page, which the page's policy stops.)"""
    for _ in range(200):
        if view.evaluate(condition):
            return
        view.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def colours(view: Any, selector: str) -> set[tuple[int, ...]]:
    """All colours of a part of the page, as a person sees it."""
    with Image.open(io.BytesIO(view.locator(selector).first.screenshot())) as shot:
        return {colour for _, colour in shot.convert("RGB").getcolors(1 << 24)}


def test_every_image_is_shown_page_by_page(opened):
    view = opened()
    shown = numbers(view)
    while not view.locator("#next").is_disabled():
        view.click("#next")
        assert view.evaluate("document.body.scrollHeight") < 8000
        shown += numbers(view)
    assert len(shown) == COUNT
    assert set(shown) == set(range(1, COUNT + 1))
    assert shown[:2] == [10, 20], "F1 0 and most errors first"


def test_thumbnails_and_boxes_are_drawn(opened):
    view = opened("one", "#q=050.jpg")
    assert numbers(view) == [50]
    assert view.locator(".card canvas").get_attribute("data-drawn") == "image"
    found = colours(view, ".card canvas")
    assert {GREEN, BLUE, RED} <= found
    assert any(abs(colour[0] - 90) < 5 and abs(colour[2] - 140) < 6 for colour in found), "the image itself"
    view.uncheck("#show-t")
    view.uncheck("#show-p")
    assert numbers(view) == [50]
    assert not {GREEN, BLUE, RED} & colours(view, ".card canvas")


def test_filters_search_all_images_and_the_link_keeps_them(opened):
    view = opened()
    choose(view, "outcome", "fn")
    assert view.locator("#shown").inner_text() == "49 of 120 images"
    assert set(choose(view, "class", "dog")) == {n for n in range(1, COUNT + 1) if n % 2 == 0 and not 30 <= n <= 100}
    again = opened("one", view.evaluate("location.hash"))
    assert numbers(again) == numbers(view)
    assert again.locator("#filter-class").input_value() == "dog"
    assert again.locator(".curve.one.chosen").count() == 2
    again.click("#reset")
    until(again, "location.hash === ''")
    assert again.locator("#shown").inner_text() == "120 of 120 images"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("status", "truncated", {7}),
        ("status", "lost", {7}),
        ("outcome", "unknown", {33}),
        ("class", "unicorn", {33}),
        ("q", "ANSWER 118", {118}),
        ("q", "nothing of the kind", set()),
        ("class", HOSTILE, set(range(10, 121, 10))),
        ("outcome", "clean", {n for n in range(30, 101) if n % 10}),
    ],
)
def test_one_filter(opened, key, value, expected):
    view = opened("one", "#size=200")
    assert set(choose(view, key, value)) == expected
    assert view.locator("#nothing-shown").is_visible() == (not expected)


def test_best_iou(opened):
    view = opened("one", "#size=200")
    assert len(choose(view, "from", "0.9")) == 71
    choose(view, "from", "0.4")
    assert len(choose(view, "to", "0.6")) == 49, "half of the box was found"


def test_fixed_and_regressed(opened):
    view = opened("two", "#size=200")
    assert set(choose(view, "change", "fixed")) == set(range(60, 101))
    assert set(choose(view, "change", "regressed")) == set(range(1, 30))
    assert view.locator(".card").first.locator("canvas").count() == 2


def test_sorts(opened):
    view = opened("one", "#size=25")
    assert choose(view, "sort", "name") == list(range(1, 26))
    assert choose(view, "sort", "best")[0] in range(30, 101)
    assert all(n % 10 == 0 for n in choose(view, "sort", "fp")[:4])


def test_one_image_large_with_keys(opened):
    view = opened("one", "#sort=name")
    view.locator(".card").nth(4).locator("button").click()
    view.wait_for_selector("#viewer[data-full=yes]")
    assert "005.jpg" in view.locator("#viewer h3").inner_text()
    assert "image=5" in view.evaluate("location.hash")
    assert view.locator("#viewer tr[data-box]").count() == 2
    assert view.locator("#viewer tr[data-box] td.n").all_inner_texts() == ["", "0.50", "0.90", "0.50"]
    assert HOSTILE in view.locator("#viewer pre").inner_text()
    before = colours(view, "#viewer canvas")
    assert {GREEN, RED} <= before
    view.keyboard.press("ArrowRight")
    until(view, "document.querySelector('#viewer h3').textContent.includes('006.jpg')")
    for _ in range(8):
        view.keyboard.press("+")
    assert not {GREEN, RED} <= colours(view, "#viewer canvas"), "the boxes are outside the view"
    view.keyboard.press("0")
    assert {GREEN, RED} <= colours(view, "#viewer canvas")
    view.keyboard.press("t")
    view.keyboard.press("l")
    assert GREEN not in colours(view, "#viewer canvas")
    assert view.locator("#viewer header a").get_attribute("href") == "images/006.jpg"
    view.keyboard.press("Escape")
    until(view, "!location.hash.includes('image=')")
    assert view.locator("#viewer").is_hidden()
    view.keyboard.press("?")
    assert "Keyboard" in view.locator("#help").inner_text()
    linked = opened("one", "#image=9")
    linked.wait_for_selector("#viewer[open]")
    assert "009.jpg" in linked.locator("#viewer h3").inner_text()


def test_arrows_turn_the_pages(opened):
    view = opened()
    view.keyboard.press("ArrowRight")
    until(view, "location.hash === '#page=2'")
    numbers(view)
    view.keyboard.press("ArrowLeft")
    until(view, "location.hash === ''")


def test_csv_of_the_filtered_list(opened):
    view = opened("two", "#size=200")
    choose(view, "q", "hacked")
    choose(view, "change", "fixed")
    with view.expect_download() as download:
        view.click("#csv")
    text = Path(download.value.path()).read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["image_id"] for row in rows] == [str(n) for n in numbers(view)]
    assert (rows[0]["fixed"], rows[0]["before: f1"], rows[0]["after: f1"]) == ("1", "0", "1")


def test_both_languages(opened):
    view = opened()
    assert view.locator("#images").inner_text() == "Images"
    view.click("#language")
    numbers(view)
    assert view.locator("#images").inner_text() == "图片"
    assert view.locator("#shown").inner_text() == "120 / 120 张图片"
    assert view.evaluate("document.documentElement.lang") == "zh-CN"
    choose(view, "status", "truncated")
    assert view.locator(".card .status").all_inner_texts() == ["被截断"]
    assert "被截断" in view.locator("#filter-status").inner_text()
    view.click("#reset")
    assert opened("one", view.evaluate("location.hash")).locator("#images").inner_text() == "图片"
    view.click("#language")
    assert view.locator("#images").inner_text() == "Images"


def test_contents_and_tables(opened):
    view = opened()
    view.click(".contents a[href='#protocol']")
    until(view, "document.querySelector('#protocol').getBoundingClientRect().top < innerHeight")
    view.click(".sortable thead button >> nth=0")
    assert view.locator(".sortable [aria-sort]").get_attribute("aria-sort") == "ascending"
    view.click(".to-class >> nth=1")
    until(view, "location.hash === '#class=dog'")


def test_hostile_text_runs_nothing(opened):
    view = opened("two", "#size=200")
    choose(view, "q", "hacked")
    view.locator(".card button").first.click()
    view.wait_for_selector("#viewer[open]")
    assert view.title() == HOSTILE
    assert view.locator("img").count() == 0
    view.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=data:, onerror=\"document.title = 1\">')")
    view.wait_for_timeout(100)
    assert view.title() == HOSTILE, "the policy of the page stops what escaping would miss"
    view.problems.clear()
