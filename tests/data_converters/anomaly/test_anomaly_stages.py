"""Crops, drawn boxes, bare scenes: pixels, questions and answers of the three stages, and every way that a source can be broken."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from anomaly_set import CLASSES, lay_out_frames
from converted import converted, refusal, run
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from groundswift.box_drawing import COLOURS
from groundswift.data_converters.anomaly.bare import DescribeOptions, LocateOptions
from groundswift.data_converters.anomaly.crop import CropOptions, crop_box
from groundswift.data_converters.anomaly.draw import DrawOptions
from groundswift.data_converters.anomaly.questions import FIELDS, REQUEST_FIELDS, built_in, check, texts_of
from groundswift.image_marks import draw_boxes, line_width


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out_frames(tmp_path / "set")
    return tmp_path


def crops(folder: Path, **more) -> CropOptions:
    return CropOptions(annotations=str(folder / "set"), save_images=str(folder / "local"), image_format="png", **more)


def drawn(folder: Path, **more) -> DrawOptions:
    return DrawOptions(annotations=str(folder / "set"), save_images=str(folder / "marked"), image_format="png", **more)


def located(folder: Path, **more) -> LocateOptions:
    return LocateOptions(annotations=str(folder / "set"), anomaly=("bubble",), **more)


def labels(folder: Path) -> dict[str, list[tuple[str, list[float]]]]:
    """Path of each frame -> its labels and boxes in px."""
    options = LocateOptions(annotations=str(folder / "set"), anomaly=tuple(CLASSES))
    rows, _ = converted(options, folder / "all.jsonl")
    return {row["images"][0]: list(zip(row["objects"]["ref"], row["objects"]["bbox"], strict=True)) for row in rows if "objects" in row}


def question(row: dict) -> str:
    return row["messages"][0]["content"]


def answer(row: dict) -> str:
    return row["messages"][1]["content"]


def chosen(row: dict) -> str:
    """The text of the option that a choice answers."""
    options = dict(line.split(". ", 1) for line in question(row).splitlines() if line[:3] in ("A. ", "B. "))
    return options[answer(row)]


def test_each_labelled_region_is_cropped(folder):
    rows, counts = converted(crops(folder, margin=0, min_size=1), folder / "out.jsonl")
    regions = {row["images"][0]: row for row in rows}
    truth = labels(folder)
    assert len(regions) == sum(map(len, truth.values()))
    assert counts == {"image-nothing-to-ask": 1}
    for path, row in regions.items():
        label, (x1, y1, x2, y2) = truth[row["source_image"]][int(path.rpartition("_")[2].removesuffix(".png"))]
        with Image.open(path) as crop, Image.open(row["source_image"]) as frame:
            assert crop.tobytes() == frame.crop((x1, y1, x2, y2)).tobytes()
            assert list(crop.size) == row["size_wh"]
        assert row["class_name"] == label
        assert row["stage"] == 1


def test_what_is_asked_about_a_crop(folder):
    rows, _ = converted(crops(folder), folder / "out.jsonl")
    by_kind = {row["sample_id"].rpartition("/")[2]: [] for row in rows}
    for row in rows:
        by_kind[row["sample_id"].rpartition("/")[2]].append(row)
    assert set(by_kind) == {"what", "is_it", "is_it_other", "choice"}
    assert all(answer(row) == row["class_name"] for row in by_kind["what"])
    assert all(chosen(row) == row["class_name"] and question(row).count(row["class_name"]) == 1 for row in by_kind["choice"])
    assert all(row["class_name"] not in question(row) and answer(row).startswith("No.") for row in by_kind["is_it_other"])
    assert {answer(row) for row in by_kind["choice"]} == {"A", "B"}


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(*[st.floats(0, 1)] * 4),
    st.floats(0, 3),
    st.integers(1, 400),
)
def test_a_crop_holds_its_box_and_is_large_enough(size_wh, fractions, margin, min_size):
    x1, x2 = sorted(value * size_wh[0] for value in fractions[:2])
    y1, y2 = sorted(value * size_wh[1] for value in fractions[2:])
    left, top, right, bottom = crop_box([x1, y1, x2, y2], size_wh, margin, min_size)
    assert 0 <= left <= x1 <= x2 <= right <= size_wh[0]
    assert 0 <= top <= y1 <= y2 <= bottom <= size_wh[1]
    assert right - left >= min(min_size, size_wh[0])
    assert bottom - top >= min(min_size, size_wh[1])
    assert right - left >= min(size_wh[0], (x2 - x1) * (1 + 2 * margin) - 1)


def test_small_regions_are_counted(folder):
    rows, counts = converted(crops(folder, smallest=25), folder / "out.jsonl")
    kept = sum(min(x2 - x1, y2 - y1) >= 25 for found in labels(folder).values() for _, (x1, y1, x2, y2) in found)
    assert len({row["images"][0] for row in rows}) == kept
    assert counts["region-too-small"] == sum(map(len, labels(folder).values())) - kept


def test_boxes_are_drawn_in_the_colour_of_their_class(folder):
    rows, _ = converted(drawn(folder), folder / "out.jsonl")
    truth = labels(folder)
    for path, source in {row["images"][0]: row["source_image"] for row in rows}.items():
        with Image.open(path) as marked, Image.open(source) as frame:
            last, (x1, y1, x2, y2) = truth[source][-1]  # drawn over the others
            edge = [marked.getpixel((x1, y1)), marked.getpixel((x2 - 1, y2 - 1)), marked.getpixel(((x1 + x2) // 2, y1))]
            assert edge == [COLOURS[CLASSES.index(last)]] * 3
            outside = [(x, y) for x in range(0, 160, 5) for y in range(0, 120, 5)]
            inside = [box for _, box in truth[source]]
            for x, y in outside:
                if not any(b[0] <= x < b[2] and b[1] <= y < b[3] for b in inside):
                    assert marked.getpixel((x, y)) == frame.getpixel((x, y))


def test_line_width_follows_the_sizes():
    assert [line_width((640, 480), (0, 0, 100, 100)), line_width((3200, 1800), (0, 0, 900, 900))] == [2, 10]
    assert line_width((3200, 1800), (0, 0, 16, 400)) == 2
    assert line_width((64, 64), (0, 0, 4, 4)) == 1


def test_tags_are_written_where_they_fit():
    bare, tagged = Image.new("RGB", (300, 200), "white"), Image.new("RGB", (300, 200), "white")
    draw_boxes(bare, [[100, 100, 200, 180]], [(255, 0, 0)])
    draw_boxes(tagged, [[100, 100, 200, 180]], [(255, 0, 0)], ["a tip"])
    changed = [(x, y) for x in range(300) for y in range(200) if bare.getpixel((x, y)) != tagged.getpixel((x, y))]
    assert changed
    assert max(y for _, y in changed) <= 100  # above the box
    assert {(0, 0, 0), (255, 0, 0)} <= {tagged.getpixel(place) for place in changed}


def test_what_is_asked_about_a_marked_scene(folder):
    rows, _ = converted(drawn(folder, anomaly=("bubble",)), folder / "out.jsonl")
    truth = {path: Counter(label for label, _ in found) for path, found in labels(folder).items()}
    kinds = Counter(row["sample_id"].rpartition("/")[2] for row in rows)
    assert set(kinds) == {"what", "count", "choice", "count_choice", "anomaly_choice"}
    for row in rows:
        kind, found = row["sample_id"].rpartition("/")[2], truth[row["source_image"]]
        if kind == "what":
            assert answer(row) == row["class_name"]
            colours = built_in().colours["en"]
            assert colours[CLASSES.index(row["class_name"])] in question(row)
        elif kind == "anomaly_choice":
            assert chosen(row) == ("yes" if found["bubble"] else "no")
        elif kind == "choice":
            assert chosen(row) == row["class_name"]
        else:
            assert (answer(row) if kind == "count" else chosen(row)) == str(found[row["class_name"]])


def test_answers_can_be_a_or_b_alone(folder):
    for options in (crops(folder, answers="ab"), drawn(folder, answers="ab", anomaly=("bubble",)), located(folder, answers="ab")):
        rows, _ = converted(options, folder / "out.jsonl")
        assert {answer(row) for row in rows} == {"A", "B"}


def test_a_colour_of_two_classes_is_not_asked_about(tmp_path):
    lay_out_frames(tmp_path / "set", names=[f"class {number}" for number in range(11)])
    for path in (tmp_path / "set/labels/video0").iterdir():
        path.write_text("0 .3 .3 .2 .2\n10 .6 .6 .2 .2\n1 .8 .8 .1 .1\n")
    rows, counts = converted(drawn(tmp_path), tmp_path / "out.jsonl")
    asked = {row["class_name"] for row in rows if "video0" in row["source_image"] and row["sample_id"].endswith("what")}
    assert asked == {"class 1"}
    assert counts["colour-of-two-classes"] == 2 * 2 * 4  # two kinds, two classes, four images


def test_one_class_has_no_other(tmp_path):
    lay_out_frames(tmp_path / "set", names=["tip"])
    rows, counts = converted(crops(tmp_path), tmp_path / "out.jsonl")
    assert {row["sample_id"].rpartition("/")[2] for row in rows} == {"what", "is_it"}
    assert counts["choice-one-class"] == len(rows) / 2


def test_the_bare_scene(folder):
    rows, _ = converted(located(folder), folder / "out.jsonl")
    truth = labels(folder)
    assert len(rows) == 2 * 8
    for row in rows:
        bubbles = [box for label, box in truth[row["images"][0]] if label == "bubble"]
        if row["sample_id"].endswith("verdict"):
            assert chosen(row) == ("yes" if bubbles else "no")
            assert row.get("class_name") == ("bubble" if bubbles else None)
        else:
            assert row["objects"]["bbox"] == bubbles
            assert answer(row) == ("<ref-object><bbox>" * len(bubbles) or "None")
            assert row["asked"] == ["bubble"]


def test_a_reference_image_follows_the_frame(folder):
    normal = folder / "set/images/video1/f0007.png"
    rows, _ = converted(located(folder, reference=str(normal)), folder / "out.jsonl")
    assert all(row["images"][1] == str(normal) and question(row).startswith("<image><image>The first image is the frame.") for row in rows)
    shutil.copytree(folder / "set/images", folder / "normal/images")
    rows, _ = converted(located(folder, reference=str(folder / "normal")), folder / "out.jsonl")
    assert {Path(row["images"][1]).name == Path(row["images"][0]).name for row in rows} == {True}
    (folder / "normal/images/video0/f0000.png").unlink()
    assert "image-missing" in refusal(located(folder, reference=str(folder / "normal")), folder / "no.jsonl")
    rows, counts = converted(located(folder, reference=str(folder / "normal"), on_error="skip"), folder / "out.jsonl")
    assert (len(rows), counts["image-missing"]) == (14, 1)
    assert "no such image" in refusal(located(folder, reference=str(folder / "gone.png")), folder / "no.jsonl")


def test_prompts_are_filled_with_the_labels(folder):
    options = DescribeOptions(annotations=str(folder / "set"), anomaly=("bubble",))
    assert run("anomaly", "describe", folder / "set", "--anomaly", "bubble", "--out", folder / "out.jsonl").exit_code == 0
    truth = labels(folder)
    requests = list(map(json.loads, (folder / "out.jsonl").read_text().splitlines()))
    assert len(requests) == 8
    for request in requests:
        found = truth[request["images"][0]]
        assert request["verdict"] == ("anomaly" if any(label == "bubble" for label, _ in found) else "normal")
        for label, box in found:
            assert f"{label} {' '.join(f'{side:.0f}' for side in box)}" in request["prompt"]
        assert "{" not in request["prompt"]
    assert options.anomaly == ("bubble",)


@pytest.mark.parametrize("stage", ["crop", "draw"])
def test_stages_write_prompts_on_request(folder, stage):
    done = run("anomaly", stage, folder / "set", "--save-images", folder / "new", "--requests", "--pairs", "3", "--out", folder / "o.jsonl")
    assert done.exit_code == 0, done.output
    for request in map(json.loads, (folder / "o.jsonl").read_text().splitlines()):
        assert request["asked_as"] == stage
        assert "Write 3 different questions" in request["prompt"]
        assert Path(request["images"][0]).is_file()


def test_prompts_of_ones_own_are_sets_of_questions(folder):
    for name, text in (("looks", "What does the {label} look like?"), ("state", "Is the {label} clean? Ask {pairs} times.")):
        (folder / f"{name}.txt").write_text(text)
    words = ["--save-images", folder / "new", "--requests", "--out", folder / "o.jsonl"]
    files = ["--prompt-file", folder / "looks.txt", "--prompt-file", folder / "state.txt"]
    assert run("anomaly", "crop", folder / "set", *words, *files).exit_code == 0
    requests = list(map(json.loads, (folder / "o.jsonl").read_text().splitlines()))
    assert [request["request_id"].rpartition("/")[2] for request in requests[:2]] == ["looks", "state"]
    assert requests[1]["prompt"] == f"Is the {requests[1]['class_name']} clean? Ask 5 times."
    (folder / "state.txt").write_text("Where is {boxes}?")
    done = run("anomaly", "crop", folder / "set", *words, *files)
    assert (done.exit_code, "state.txt: prompt 'Where is {boxes}?': unknown field {boxes}" in done.output) == (1, True)
    done = run("anomaly", "locate", folder / "set", "--anomaly", "tip", "--out", folder / "o.jsonl", *files)
    assert "locate sends no prompt" in done.output


def test_prompts_for_letters(folder):
    words = ["--save-images", folder / "new", "--requests", "--answers", "ab", "--out", folder / "o.jsonl"]
    assert run("anomaly", "draw", folder / "set", *words).exit_code == 0
    assert "each a choice of A or B" in json.loads((folder / "o.jsonl").read_text().splitlines()[0])["prompt"]


def test_a_font_of_ones_own(folder):
    (folder / "no.ttf").write_bytes(b"no font")
    assert "no.ttf: not a font" in refusal(drawn(folder, tags="label", font=str(folder / "no.ttf")), folder / "out.jsonl")


def test_a_label_that_the_font_cannot_write_is_refused(folder):
    data = folder / "set" / "data.yaml"
    data.write_text(data.read_text("utf-8").replace("tip", "气泡"), "utf-8")
    text = refusal(drawn(folder, tags="label"), folder / "out.jsonl")
    assert "--tags label: class '气泡': the font has no '气泡'; expected --font FILE" in text
    assert converted(drawn(folder, tags="number"), folder / "out.jsonl")[0]


def test_both_languages(folder):
    rows, _ = converted(crops(folder, language="both"), folder / "out.jsonl")
    assert {row["prompt"].split(".")[2] for row in rows} == {"en", "zh"}
    rows, _ = converted(drawn(folder, language="zh"), folder / "out.jsonl")
    assert all(not question(row).isascii() for row in rows)


OWN = {
    "kind": ("crop: {what: {en: [['What?', '{label}']]}}", None),
    "field": ("crop: {what: {en: [['What is {thing}?', '{label}']]}}", "crop.what.en: prompt 'What is {thing}?': unknown field {thing}"),
    "tag": ("crop: {what: {en: [['<image>?', '{label}']]}}", "holds <image>, which swift would replace"),
    "blank": ("crop: {what: {en: [['', '{label}']]}}", "the prompt is blank"),
    "section": ("crops: {}", "unknown field `crops`"),
    "pair": ("crop: {what: {en: [['What?']]}}", "of length 2"),
    "language": ("mark: {zh: x}", "mark: has no en"),
    "yaml": ("crop: [", "not YAML"),
}


@pytest.mark.parametrize("name", OWN)
def test_questions_of_ones_own(folder, name):
    text, expected = OWN[name]
    (folder / "own.yaml").write_text(text)
    options = crops(folder, questions=str(folder / "own.yaml"))
    if expected is None:
        rows, _ = converted(options, folder / "out.jsonl")
        assert {question(row) for row in rows} == {"<image>What?"}
    else:
        assert expected in refusal(options, folder / "out.jsonl")


UNUSED = {("requests.crop", "labels"), ("requests.crop", "count"), ("requests.draw", "labels"), ("requests.describe", "count")}


def test_the_built_in_questions_follow_their_own_rules():
    check("questions.yaml", built_in(), ("en", "zh"))
    assert all(len(names) == len(COLOURS) for names in built_in().colours.values())
    requests = {f"requests.{stage}": fields for stage, fields in REQUEST_FIELDS.items()}
    for stage, fields in (FIELDS | requests).items():
        used = "".join(text for where, text, _ in texts_of(built_in()) if where.startswith(stage))
        assert [field for field in fields if f"{{{field}}}" not in used and (stage, field) not in UNUSED] == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


LABELS, IMAGE = "labels/video0/f0000.txt", "images/video0/f0000.png"
BROKEN = {  # name -> (what is done to the folder, id, what the message shows)
    "a column too few": (lambda root: (root / LABELS).write_text("0 .5 .5 .5\n"), "label-unreadable", "video0/f0000.txt:1"),
    "a class beyond": (lambda root: (root / LABELS).write_text("3 .5 .5 .5 .5\n"), "label-unreadable", "class 3; expected 0 to 2"),
    "an image that is gone": (lambda root: (root / IMAGE).unlink(), "label-file-without-image", "f0000.txt"),
    "an image that is broken": (lambda root: (root / IMAGE).write_bytes(b"no"), "image-unreadable", "f0000.png"),
    "an image that stops": (lambda root: cut(root / IMAGE), "image-unreadable", "f0000.png"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_sources(folder, name):
    rows, _ = converted(crops(folder), folder / "whole.jsonl")
    rest = [row for row in rows if not row["source_image"].endswith("f0000.png")]
    broken, id, shown = BROKEN[name]
    broken(folder / "set")
    text = refusal(crops(folder), folder / "out.jsonl")
    assert id in text
    assert shown in text
    rows, counts = converted(crops(folder, on_error="skip"), folder / "out.jsonl")
    assert counts[id] == 1
    assert rows == rest


def test_an_unknown_anomaly_class_is_refused(folder):
    assert "the dataset has no such class; expected one of tip, plate, bubble" in refusal(
        LocateOptions(annotations=str(folder / "set"), anomaly=("spill",)), folder / "out.jsonl"
    )
    assert "no --anomaly" in refusal(LocateOptions(annotations=str(folder / "set")), folder / "out.jsonl")


def test_other_crops_in_the_same_folder_are_refused(folder):
    converted(crops(folder), folder / "out.jsonl")
    assert "image-name-repeated" in refusal(crops(folder, margin=1), folder / "other.jsonl")
