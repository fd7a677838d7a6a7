"""The images of the report: order, thumbnails, boxes, what may be opened, and what is said of an image that is not shown."""

from __future__ import annotations

import base64
import os
from io import BytesIO

import pytest
from growth import growth
from PIL import Image
from report_page import image_result, make_run

from groundswift.eval.evaluated_run import OUTCOMES, DrawnBox, ImageResult, Number
from groundswift.eval.report.image_index import CHUNK, LONGEST_TEXT, PREDICTED, changes, data_of, worst_first
from groundswift.eval.report.thumbnails import Look, common_folder, jpeg, look_for
from groundswift.images import OpenedImage


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


def test_images_that_are_named_by_whole_paths_are_shown_without_a_folder(report, images_dir):
    paths = [images_dir / "deep" / "1.jpg", images_dir / "2.jpg"]
    paths[0].parent.mkdir()
    for path in paths:
        Image.new("RGB", (112, 84)).save(path)
    run = make_run(images=[ImageResult(n, str(path), (112, 84), "ok", [], [], 0.5) for n, path in enumerate(paths)])
    page = report(run, folder=None)
    assert page.block("setup")["images"] == "../images/"
    assert page.index["hrefs"] == {str(paths[0]): "deep/1.jpg", str(paths[1]): "2.jpg"}
    assert all(isinstance(text, str) and text for text in page.block("t0"))


def test_no_folder_is_taken_for_relative_names_missing_files_or_many(images_dir):
    path = str(images_dir / "000001.jpg")
    Image.new("RGB", (9, 9)).save(path)
    assert common_folder([path]) == images_dir
    assert [common_folder(files) for files in ([], ["000001.jpg"], [path, f"{path}.gone"], [path, "a\0b"], [path] * 401)] == [None] * 5
    assert common_folder([path, "/etc/hostname"]) is None


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


def test_a_huge_answer_does_not_fill_the_page():
    image = ImageResult(1, "1.jpg", (10, 10), "ok", [], [], response="\u732b" * 3_000_000, values={"text": "x" * 3_000_000, "cer": 0.5})
    found = data_of(image, {})
    assert found["r"] == "\u732b" * LONGEST_TEXT + " \u2026 (20,000 / 3,000,000)"
    assert (len(found["v"]["text"]), found["v"]["cer"]) == (len(found["r"]), 0.5)
