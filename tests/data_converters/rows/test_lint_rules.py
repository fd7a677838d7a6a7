"""Every rule of the lint: a row, or a set, that breaks it and nothing else; and sets that break none."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from groundswift.cli import main
from groundswift.data_converters.rows import jsonl_lines as lines
from groundswift.data_converters.rows.lint import checks_images, checks_labels, run
from groundswift.data_converters.rows.lint.rules import RULES, SEVERITIES, rules_text
from groundswift.errors import GroundswiftError
from groundswift.family import FAMILIES

WIDTH, HEIGHT = 64, 48
DROP = object()


def row(**changes: Any) -> dict[str, Any]:
    """A row with one dog and nothing wrong; DROP takes a column away."""
    whole = {
        "messages": [{"role": "user", "content": "<image>Find all."}, {"role": "assistant", "content": "<ref-object><bbox>"}],
        "images": ["a.png"],
        "objects": {"ref": ["dog"], "bbox": [[1, 2, 30, 40]], "bbox_type": "real"},
        "sample_id": 1,
        "size_wh": [WIDTH, HEIGHT],
    }
    return {key: value for key, value in {**whole, **changes}.items() if value is not DROP}


EMPTY = row(
    messages=[{"role": "user", "content": "<image>Find all."}, {"role": "assistant", "content": "None"}],
    objects={"ref": [], "bbox": []},
    sample_id=0,
)


def boxed(*boxes: Any, refs: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """A row with these boxes, each of a label."""
    refs = ["dog"] * len(boxes) if refs is None else refs
    answer = "<ref-object><bbox>" * len(boxes)
    return said(answer, objects={"ref": refs, "bbox": list(boxes), **more})


def labelled(*labels: str) -> dict[str, Any]:
    return boxed(*([index, 2, 30, 40] for index in range(len(labels))), refs=list(labels))


def said(answer: Any, question: Any = "<image>Find all.", **more: Any) -> dict[str, Any]:
    return row(messages=[{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more)


def talked(*roles: str, answer: str = "<ref-object><bbox>") -> dict[str, Any]:
    """A conversation in these roles: the image in the first user's turn, the answer in the last turn."""
    contents = ["<image>Find." if role == "user" and role not in roles[:index] else "So." for index, role in enumerate(roles)]
    contents[-1] = answer
    return row(messages=[{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)])


def filmed(question: str, videos: Any, answer: str = "A dog runs.", **more: Any) -> dict[str, Any]:
    """A question about videos."""
    return said(answer, question, **{"images": DROP, "objects": None, "size_wh": DROP, "videos": videos} | more)


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**each, "sample_id": index} for index, each in enumerate(rows, 1)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the pictures that the rows name."""
    monkeypatch.chdir(tmp_path)
    size = (WIDTH, HEIGHT)
    Image.new("RGB", size, "grey").save("a.png")
    Image.new("RGB", size, "red").save("b.png")
    Image.new("CMYK", size).save("cmyk.jpg")
    Image.new("I;16", size).save("deep.png")
    Image.new("I", size, 40000).save("whole.tif")
    Image.new("F", size, 0.5).save("fractions.tif")
    Image.new("F", size, -3.0).save("negative.tif")
    Image.new("RGBA", size).save("alpha.png")
    Image.new("P", size).save("palette.png")
    Image.new("RGB", (402, 2)).save("long.png")
    Image.new("RGB", (100, 80)).save("big.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", size[::-1]).save("turned.jpg", exif=exif)
    Path("text.png").write_text("no picture")
    Path("clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    Path("empty.mp4").touch()
    cut = Image.effect_noise(size, 50)
    cut.save("cut.jpg")
    data = Path("cut.jpg").read_bytes()
    Path("cut.jpg").write_bytes(data[: len(data) // 2])
    Path("other.jsonl").write_text(json.dumps(row(images=["b.png"])))
    return tmp_path


@pytest.fixture
def lint(folder: Path) -> Callable[..., dict[str, Any]]:
    """Write rows (dicts, or lines as they stand), lint them -> the document."""

    def lint_rows(rows: list[Any], *options: str) -> dict[str, Any]:
        Path("set.jsonl").write_bytes(b"".join(each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in rows))
        done = CliRunner().invoke(main, ["lint", "set.jsonl", "--json", *options])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code in (0, 1), done.output
        document = json.loads(done.stdout)
        assert done.exit_code == (document["counts"]["error"] > 0)
        return document

    return lint_rows


def cases() -> dict[str, tuple[Any, ...]]:
    """Name -> (the rule, rows, options if any). EMPTY goes before the rows, so that the set has a negative."""
    small = [[x, y, x + 5, y + 4] for x in range(0, 60, 20) for y in range(0, 40, 10)]
    many_wide = [[x, 2, x + 100, 900] for x in range(0, 900, 15)]
    in_second = {"ref": ["dog"], "bbox": [[1, 2, 66, 40]], "image_id": [1]}
    two = {"images": ["a.png", "b.png"]}
    twins = {"ref": ["dog", "dog"], "bbox": [[1, 2, 30, 40], [1, 2, 30, 40]]}
    pair = "<image><image>Find all."
    nan, nothing = float("nan"), "--no-check-images"
    return {
        "not JSON": ("not-json", [b"{'a': 1}\n"]),
        "a list": ("not-json", [b"[1]\n"]),
        "cut line": ("not-json", [json.dumps(row()).encode()[:-9]]),
        "NaN outside boxes": ("not-json", [row(score=nan)]),
        "bad UTF-8": ("not-json", [json.dumps(row()).encode().replace(b"dog", b"d\xffg") + b"\n"]),
        "zero bytes": ("not-json", ['{"a": 1}\n'.encode("utf-16-le")]),
        "no messages": ("no-messages", [{"images": ["a.png"], "sample_id": 1, "size_wh": [WIDTH, HEIGHT]}]),
        "empty messages": ("no-messages", [row(messages=[])]),
        "message is text": ("message-shape", [row(messages=["hi"])]),
        "content is a number": ("message-shape", [said(3)]),
        "role is a number": ("message-shape", [row(messages=[{"role": 1, "content": "x"}])]),
        "unknown role": ("role-unknown", [talked("user", "robot")]),
        "two users": ("roles-order", [talked("user", "user", "assistant")]),
        "late system": ("roles-order", [talked("user", "system", "assistant")]),
        "system alone": ("roles-order", [row(messages=[{"role": "system", "content": "<image>"}], objects=None)]),
        "null answer": ("content-null", [said(None)]),
        "blank answer": ("answer-blank", [said(" ", objects=None)]),
        "question only": ("no-answer", [row(messages=[{"role": "user", "content": "<image>Find all."}])]),
        "one box too few": ("bbox-count", [row(objects={"ref": ["dog"], "bbox": []})]),
        "one box too many": ("bbox-count", [row(objects={"ref": ["dog"], "bbox": [[1, 2, 3, 4], [2, 3, 4, 5]]})]),
        "one label too few": ("ref-count", [said("<ref-object><bbox><ref-object><bbox>", objects={"ref": ["a"], "bbox": small[:2]})]),
        "no ref": ("ref-count", [row(objects={"bbox": [[1, 2, 3, 4]]})]),
        "an image too few": ("image-tags-over", [said("<ref-object><bbox>", pair)]),
        "no image tag": ("image-tags-under", [said("<ref-object><bbox>", "Find all.")]),
        "video": ("tag-left", [said("<ref-object><bbox>", "<image><video>?")]),
        "ref_object": ("tag-misspelt", [said("<ref-object><bbox>", "<image>What is a <ref_object>?")]),
        "closed bbox": ("tag-misspelt", [said("<bbox/>", objects=None)]),
        "native text": ("boxes-as-text", [said("<ref>dog</ref><box>(1,2),(3,4)</box>", objects=None)]),
        "JSON with a score": ("placeholder-json", [said('{"bbox_2d": <bbox>, "label": "<ref-object>", "score": 1}')]),
        "a list in two ways": ("list-unclear", [said("<bbox><ref-object><bbox>", objects={"ref": ["a"], "bbox": small[:2]})]),
        "labels behind boxes": (
            "label-after-box",
            [said("<bbox> is a <ref-object>, <bbox> a <ref-object>.", objects={"ref": ["a", "b"], "bbox": small[:2]})],
        ),
        "a label between two boxes": (
            "label-unsure",
            [said("Near <bbox> a <ref-object>, and <bbox>.", objects={"ref": ["a"], "bbox": small[:2]})],
        ),
        "twice in JSON": (
            "box-duplicate",
            [said('[{"bbox_2d": <bbox>, "label": "<ref-object>"}, {"bbox_2d": <bbox>, "label": "<ref-object>"}]', objects=twins)],
        ),
        "rejected is the answer": ("rejected-same", [row(rejected_response="<ref-object><bbox>")]),
        "rejected is the answer, as messages": (
            "rejected-shape",
            [row(rejected_response=[{"role": "assistant", "content": "<ref-object><bbox>"}])],
        ),
        "no rejected in one row": ("rejected-missing", [row(rejected_response="No."), row(sample_id=2, rejected_response=None)]),
        "rejected is a number": ("rejected-shape", [row(rejected_response=3)]),
        "rejected asks": ("rejected-shape", [row(rejected_response=[{"role": "user", "content": "Why?"}])]),
        "rejected has a box too many": ("bbox-count", [row(rejected_response="<ref-object><bbox><bbox>")]),
        "rejected has a box too few": ("bbox-count", [row(rejected_response="<bbox>", rejected_objects={"ref": [], "bbox": small[:2]})]),
        "rejected box outside": ("box-outside", [row(rejected_response="<bbox>", rejected_objects={"bbox": [[1, 2, 99, 40]]})]),
        "rejected messages without their boxes": (
            "bbox-count",
            [row(rejected_messages=[{"role": "user", "content": "Find."}, {"role": "assistant", "content": "<bbox>"}])],
        ),
        "rejected messages without their image": (
            "image-tags-over",
            [row(rejected_messages=[{"role": "user", "content": "<image>Find."}, {"role": "assistant", "content": "No."}])],
        ),
        "rejected in other JSON": ("placeholder-json", [row(rejected_response='{"boxes": [<bbox>], "label": "<ref-object>"}')]),
        "a row of an inference": ("result-row", [row(response="None")]),
        "label as text": ("label-text", [row(label="false")]),
        "objects as text": ("old-objects", [row(objects='[{"caption": "dog", "bbox": [1, 2, 3, 4]}]')]),
        "objects as list": ("old-objects", [row(objects=[{"caption": "dog", "bbox": [1, 2, 3, 4]}])]),
        "no bbox": ("bbox-missing", [row(objects={"ref": ["dog"]})]),
        "null bbox": ("bbox-shape", [row(objects={"ref": ["dog"], "bbox": None})]),
        "flat bbox": ("bbox-shape", [row(objects={"ref": ["dog"], "bbox": [1, 2, 3, 4]})]),
        "ref is text": ("ref-shape", [row(objects={"ref": "dog", "bbox": [[1, 2, 3, 4]]})]),
        "score": ("objects-keys", [boxed([1, 2, 30, 40], score=[0.5])]),
        "norm1000": ("bbox-type-unknown", [boxed([100, 200, 500, 500], bbox_type="norm1000")]),
        "boxes, no image": ("objects-without-image", [said("<ref-object><bbox>", "Find all.", images=[])]),
        "image_id too large": ("image-id-range", [boxed([1, 2, 30, 40], image_id=[1])]),
        "image_id negative": ("image-id-range", [boxed([1, 2, 30, 40], image_id=[-1])]),
        "image_id text": ("image-id-range", [boxed([1, 2, 30, 40], image_id=["0"])]),
        "image_id short": (
            "image-id-short",
            [said("<ref-object><bbox>" * 2, pair, **two, objects={"ref": ["a", "b"], "bbox": small[:2], "image_id": [1]})],
        ),
        "no image_id": ("image-id-missing", [said("<ref-object><bbox>", pair, **two)]),
        "eight numbers": ("box-length", [boxed([1, 2, 3, 4, 5, 6, 7, 8])]),
        "numbers as text": ("box-not-number", [boxed(["1", "2", "3", "4"])]),
        "null in box": ("box-not-number", [boxed([1, None, 3, 4])]),
        "true in box": ("box-not-number", [boxed([True, 2, 3, 4])]),
        "nested": ("box-nested", [boxed([[1, 2, 3, 4], [5, 6, 7, 8]])]),
        "NaN in box": ("box-not-finite", [boxed([1, 2, nan, 4])]),
        "beyond a float": ("box-not-finite", [boxed([1, 2, 10**400, 40])]),
        "inverted": ("box-inverted", [boxed([30, 2, 1, 40])]),
        "a line": ("box-empty", [boxed([1, 2, 1, 40])]),
        "right of": ("box-outside", [boxed([1, 2, 66, 40])]),
        "above": ("box-outside", [boxed([1, -2, 6, 40])]),
        "point outside": ("box-outside", [boxed([1, 50])]),
        "by size_wh alone": ("box-outside", [boxed([1, 2, 66, 40])], nothing),
        "in the second image": (
            "box-outside",
            [said("<ref-object><bbox>", pair, images=["big.png", "a.png"], size_wh=[100, 80], objects=in_second)],
        ),
        "over the edge": ("box-over-edge", [boxed([1, 2, 64.4, 40])]),
        "twice": ("box-duplicate", [boxed([1, 2, 30, 40], [1, 2, 30, 40])]),
        "norm1 above 1": ("box-norm1-range", [boxed([0.1, 0.2, 1.3, 0.4], bbox_type="norm1")]),
        "xywh": ("boxes-look-like-xywh", [boxed(*([x, y, 5, 4] for x, y, *_ in small))]),
        "ratios": ("boxes-look-like-ratios", [boxed([0.1, 0.2, 0.5, 0.75])]),
        "norm1000 in a wide image": ("boxes-look-like-norm1000", [{**boxed(*many_wide), "size_wh": [1920, 1080]}], nothing),
        "point for PaliGemma": ("point-unwritten", [boxed([1, 2])], "--family", "paligemma"),
        "images is a number": ("image-shape", [said("None", "Hi.", images=3, objects=None, size_wh=DROP)]),
        "missing": ("image-missing", [row(images=["no.png"])]),
        "a folder": ("image-missing", [row(images=["."])]),
        "no picture": ("image-unreadable", [row(images=["text.png"])]),
        "cut": ("image-broken", [row(images=["cut.jpg"])], "--decode"),
        "budget": ("image-over-budget", [row(images=["big.png"], size_wh=[100, 80])], "--max-pixels", "5000"),
        "aspect": ("image-aspect", [row(images=["long.png"], size_wh=[402, 2], objects={"ref": ["a"], "bbox": [[1, 0, 5, 2]]})]),
        "turned": ("image-exif-rotated", [row(images=["turned.jpg"])]),
        "turned, unknown": ("image-exif-unknown", [row(images=["turned.jpg"], size_wh=DROP)]),
        "stored size": (
            "size-wh-stored",
            [row(images=["turned.jpg"], size_wh=[HEIGHT, WIDTH], objects={"ref": ["dog"], "bbox": [[1, 2, 40, 60]]})],
        ),
        "other size": ("size-wh-wrong", [row(size_wh=[640, 480])]),
        "size as text": ("size-wh-shape", [row(size_wh="64x48")]),
        "no size": ("size-wh-missing", [row(size_wh=DROP)]),
        "CMYK": ("image-cmyk", [row(images=["cmyk.jpg"])]),
        "16 bit": ("image-16-bit", [row(images=["deep.png"])]),
        "32 bit": ("image-16-bit", [row(images=["whole.tif"])]),
        "floats": ("image-16-bit", [row(images=["fractions.tif"])]),
        "floats below 0": ("image-no-scale", [row(images=["negative.tif"])]),
        "alpha": ("image-alpha", [row(images=["alpha.png"])]),
        "palette": ("image-palette", [row(images=["palette.png"])]),
        "videos is a number": ("video-shape", [filmed("?", 3)]),
        "an empty list of frames": ("video-shape", [filmed("<video>?", [[]])]),
        "a video that is null": ("video-shape", [filmed("<video>?", [None])]),
        "no video": ("video-missing", [filmed("<video>?", ["no.mp4"])]),
        "no frame": ("video-missing", [filmed("<video>?", [["a.png", "no.png"]])]),
        "a folder as a video": ("video-missing", [filmed("<video>?", ["."])]),
        "a video at no address": ("video-missing", [filmed("<video>?", ["memory://clips/no.mp4"])]),
        "a video of 0 bytes": ("video-empty", [filmed("<video>?", ["empty.mp4"])]),
        "a video on the network": ("video-remote", [filmed("<video>?", ["https://example.com/a.mp4"])]),
        "a video too few": ("video-tags-over", [filmed("<video><video>?", ["clip.mp4"])]),
        "no video tag": ("video-tags-under", [filmed("Look.", "clip.mp4")]),
        "address": ("image-remote", [row(images=["https://example.com/a.png"])]),
        "blank label": ("label-empty", [labelled(" ")]),
        "label with blank": ("label-blank-ends", [labelled("dog ")]),
        "label with line break": ("label-control", [labelled("dog\ncat")]),
        "long label": ("label-long", [labelled("dog" * 400)]),
        "label with <bbox>": ("label-placeholder", [labelled("a <bbox>")]),
        "label with a mark": ("label-mark", [labelled("a <|box_start|>")]),
        "label refused": ("label-refused", [labelled("a <|box_start|>")], "--family", "qwen2_vl"),
        "label in two cases": ("label-variants", [labelled("dog", "Dog")]),
        "no sample_id": ("sample-id-missing", [row(sample_id=DROP)]),
        "two types of sample_id": ("sample-id-types", [row(sample_id="a")]),
        "same sample_id": ("sample-id-duplicate", [row(), boxed([2, 3, 4, 5])]),
        "same row": ("row-duplicate", [row(), row()]),
    }


CASES = cases()
APART = {  # rules that need more than a row, tested below by name; the tests of them end in the rule's name
    "file-empty", "line-too-long", "old-columns", "rows-mixed", "image-too-large", "image-leak", "label-changed", "label-close",
    "row-too-long", "row-not-encodable", "no-negatives", "boxes-look-like-norm1000", "video-no-reader",
}  # fmt: skip
ALSO = {"turned, unknown": {"size-wh-missing"}, "xywh": {"box-inverted"}}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_by_a_row_that_breaks_it_alone(lint, name):
    rule, rows, *options = CASES[name]
    rejected = {"rejected_response": "A dog."} if isinstance(rows[0], dict) and "rejected_response" in rows[0] else {}
    document = lint([EMPTY | rejected, *rows], *options)
    assert set(document["rules"]) == {rule} | ALSO.get(name, set())
    found = document["rules"][rule]
    assert found["severity"] == RULES[rule].severity
    example = found["examples"][0]
    assert example["file"] == "set.jsonl"
    assert example["line"] in (2, 3)


def test_every_rule_has_a_case():
    tested = {rule for rule, *_ in CASES.values()} | APART
    assert set(RULES) - tested == set()
    assert tested - set(RULES) == set()


def test_the_table_of_rules():
    for name, rule in RULES.items():
        assert name == rule.id
        assert rule.severity in SEVERITIES
        assert all([rule.title, rule.effect, rule.remedy])
    shown = CliRunner().invoke(main, ["lint", "--rules"])
    assert shown.exit_code == 0
    assert shown.stdout.strip() == rules_text()
    assert all(name in shown.stdout for name in RULES)


CLEAN = {
    "plain": [row(), EMPTY],
    "one image as text": [row(images="a.png"), EMPTY],
    "image as dict": [row(images=[{"path": "a.png", "bytes": None}]), EMPTY],
    "image column": [row(images=DROP, image="a.png"), EMPTY],
    "no objects": [said("A dog.", objects=None)],
    "norm1": [boxed([0.1, 0.2, 0.5, 0.75], bbox_type="norm1"), EMPTY],
    "point": [boxed([5, 6]), EMPTY],
    "label in the question": [said("<bbox>", "<image>Where is the <ref-object>?"), EMPTY],
    "one label, two boxes": [said("<ref-object><bbox><bbox>", objects={"ref": ["dog"], "bbox": [[1, 2, 3, 4], [5, 6, 7, 8]]}), EMPTY],
    "same box, other label": [boxed([1, 2, 3, 4], [1, 2, 3, 4], refs=["dog", "cat"]), EMPTY],
    "system": [talked("system", "user", "assistant"), EMPTY],
    "two rounds": [talked("user", "assistant", "user", "assistant"), EMPTY],
    "conversations": [
        {**row(messages=DROP), "conversations": [{"from": "human", "value": "<image>?"}, {"from": "gpt", "value": "<ref-object><bbox>"}]},
        EMPTY,
    ],
    "content in parts": [
        row(
            messages=[
                {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]},
                {"role": "assistant", "content": "<ref-object><bbox>"},
            ]
        ),
        EMPTY,
    ],
    "two images": [
        said(
            "<ref-object><bbox>",
            "<image><image>?",
            images=["a.png", "b.png"],
            objects={"ref": ["dog"], "bbox": [[1, 2, 3, 4]], "image_id": [1]},
        ),
        EMPTY,
    ],
    "byte order mark": [b"\xef\xbb\xbf" + json.dumps(row()).encode() + b"\n", EMPTY],
    "CRLF and blank lines": [json.dumps(row()).encode() + b"\r\n\r\n", b"\n", EMPTY],
    "no newline at the end": [EMPTY, json.dumps(row()).encode()],
    "a few wide boxes": [{**boxed(*([x, 2, x + 9, 20] for x in range(0, 50, 2))), "images": ["a.png"]}, EMPTY],
}


@pytest.mark.parametrize("name", CLEAN)
def test_clean_sets(lint, name):
    assert lint(CLEAN[name])["rules"] == {}


def test_what_convert_writes_is_clean(small, pictures, annotate, tmp_path):
    out = tmp_path / "train.jsonl"
    assert CliRunner().invoke(main, ["convert", "coco", str(annotate(small)), "--images", str(pictures), "--out", str(out)]).exit_code == 0
    done = CliRunner().invoke(main, ["lint", str(out), "--decode", "--strict", "--json", "--family", "qwen2_5_vl"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert set(document["rules"]) == {"image-exif-rotated"}
    assert (document["rows"], document["boxes"], document["negatives"]) == (4, 6, 1)
    assert document["classes"] == [{"label": "cat", "boxes": 3, "rows": 2}, {"label": "dog", "boxes": 3, "rows": 2}]


def test_file_empty(lint):
    assert set(lint([])["rules"]) == {"file-empty"}
    assert set(lint([b"\n \n"])["rules"]) == {"file-empty"}


def test_line_too_long(lint, monkeypatch):
    monkeypatch.setattr(lines.lines_of, "__defaults__", (1000,))
    document = lint([EMPTY, json.dumps(row(note="x" * 5000)).encode() + b"\n", row(), b" " * 1000])
    assert {rule: found["count"] for rule, found in document["rules"].items()} == {"line-too-long": 1}
    assert document["rules"]["line-too-long"]["examples"][0]["line"] == 2
    assert document["rows"] == 2


OLD = {"query": "<image>Find all.", "response": "<ref-object><bbox>"}


def test_old_columns_and_rows_mixed(lint):
    old = {**row(messages=DROP), **OLD}
    assert set(lint([old])["rules"]) == {"old-columns", "no-negatives"}
    assert set(lint([EMPTY, old])["rules"]) == {"old-columns", "rows-mixed"}
    broken = {**old, "response": "<ref-object><bbox><bbox>"}
    assert "bbox-count" in lint([broken])["rules"]


def test_no_negatives(lint):
    assert set(lint([row()])["rules"]) == {"no-negatives"}


MENTIONED = {  # rows in which a box may stand as often as it likes, and which have no negatives
    "again in a text": said("<bbox> beside <bbox>, so <bbox> it is.", objects={"ref": [], "bbox": [[1, 2, 30, 40]] * 3}),
    "again in a grounded caption": said(
        "<ref-object><bbox> and <ref-object><bbox>.", objects={"ref": ["Six men"] * 2, "bbox": [[1, 2, 30, 40]] * 2}
    ),
    "in the question and the answer": said(
        "<bbox>", "<image>What is left of <bbox>?", objects={"ref": [], "bbox": [[1, 2, 30, 40], [1, 2, 30, 40]]}
    ),
    "found": said("<bbox>", "<image>Find <ref-object>.", objects={"ref": ["the dog"], "bbox": [[1, 2, 30, 40]]}),
    "described": said("A dog.", "<image>Describe <bbox>.", objects={"ref": [], "bbox": [[1, 2, 30, 40]]}),
    "a point": said("<bbox>", "<image>Point at <ref-object>.", objects={"ref": ["the dog"], "bbox": [[10, 20]]}),
}


@pytest.mark.parametrize("name", MENTIONED)
def test_what_is_no_detection_has_no_findings(lint, name):
    assert lint([MENTIONED[name]])["rules"] == {}


def test_boxes_look_like_norm1000_in_small_images(lint):
    rows = [EMPTY, {**boxed(*([x, 5, x + 90, 950] for x in range(0, 900, 60))), "size_wh": [640, 480]}]
    rules = lint(rows, "--no-check-images")["rules"]
    assert set(rules) == {"boxes-look-like-norm1000", "box-outside"}


def test_image_too_large(lint, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT // 2 - 1)
    assert set(lint([EMPTY, row()])["rules"]) == {"image-too-large"}


@pytest.mark.parametrize("copied", [False, True], ids=["path", "content"])
def test_image_leak(lint, folder, copied):
    name = "a.png"
    if copied:
        name = "copy.png"
        Path(name).write_bytes(Path("a.png").read_bytes())
    Path("leak.jsonl").write_text(json.dumps(row(images=[str(folder / name)])))
    rules = lint([EMPTY, row()], "--against", "leak.jsonl")["rules"]
    assert set(rules) == {"image-leak"}
    assert ("content" if copied else "path") in rules["image-leak"]["examples"][0]["what"]
    assert lint([EMPTY, row()], "--against", "other.jsonl")["rules"] == {}


def test_label_changed(lint, monkeypatch):
    monkeypatch.setattr(checks_labels, "parse", lambda text, family: checks_labels_answer("other"))
    checks_labels.label_problems.cache_clear()
    rules = lint([EMPTY, labelled("a: b")], "--family", "qwen2_vl")["rules"]
    checks_labels.label_problems.cache_clear()
    assert set(rules) == {"label-changed"}
    assert "back as 'other'" in rules["label-changed"]["examples"][0]["what"]


def checks_labels_answer(label: str):
    from groundswift.answers import Answer, Located

    return Answer([Located(label, (1, 2, 3, 4))] * 2, "ok", [])


def test_label_close(lint):
    rows = numbered([labelled("crescent") for _ in range(50)])
    rules = lint([EMPTY, *rows, {**labelled("cresent"), "sample_id": 99}])["rules"]
    assert set(rules) == {"label-close"}
    assert "'cresent' (1) and 'crescent' (50)" in rules["label-close"]["examples"][0]["what"]


@pytest.mark.parametrize(
    ("tokens", "rules"),
    [(10, set()), (11, {"row-too-long"}), (GroundswiftError("no"), {"row-not-encodable"})],
    ids=["fits", "too long", "refused"],
)
def test_row_too_long_and_row_not_encodable(lint, monkeypatch, tokens, rules):
    seen = []

    def counter(given):
        seen.append(given)
        if isinstance(tokens, Exception):
            raise tokens
        return tokens

    monkeypatch.setattr("groundswift.cli.open_token_counter", lambda model, model_type, template: counter)
    found = lint([row(images="a.png"), EMPTY, row(messages=[], sample_id=2)], "--max-length", "10", "--model", "folder")
    assert set(found["rules"]) == rules | {"no-messages"}
    assert seen[0]["messages"] == row()["messages"]
    assert seen[0]["images"] == ["a.png"]
    assert seen[0]["objects"] == row()["objects"]
    assert len(seen) == 2


def test_without_swift_tokens_cannot_be_counted(lint, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "groundswift.swift_plugins.tools.encoding", None)
    Path("set.jsonl").write_text(json.dumps(row()))
    done = CliRunner().invoke(main, ["lint", "set.jsonl", "--max-length", "10", "--model", "folder"])
    assert done.exit_code == 1
    assert "pip install 'groundswift[swift]'" in done.stderr


@pytest.mark.parametrize("label", ["dog", "traffic light", "T-shirt", "item 1 2", "person's hat", "猫", "Größe 3", "box", "loc", "x1 y1"])
def test_labels_that_are_passed_by_fast_can_be_written_by_every_family(label):
    assert checks_labels.HARMLESS.fullmatch(label)
    assert [name for name in FAMILIES if checks_labels.round_trip_problem(label, name)] == []


def test_an_image_in_the_row_itself(lint):
    data = BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT)).save(data, "PNG")
    text = base64.b64encode(data.getvalue()).decode()
    assert lint([row(images=[text]), row(images=["data:image/png;base64," + text], sample_id=3), EMPTY])["rules"] == {}


def test_root_image_dir(lint, folder, monkeypatch):
    (folder / "sub").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "sub" / "only.png")
    assert set(lint([row(images=["only.png"]), EMPTY])["rules"]) == {"image-missing"}
    monkeypatch.setenv("ROOT_IMAGE_DIR", str(folder / "sub"))
    assert lint([row(images=["only.png"]), EMPTY])["rules"] == {}


def test_an_image_of_many_rows_is_opened_once(lint, monkeypatch):
    opened = []
    check = checks_images.check_image
    monkeypatch.setattr(run, "check_image", lambda source, checks: opened.append(source) or check(source, checks))
    lint(numbered([row() for _ in range(20)]), "--workers", "1")
    assert opened == ["a.png"]
