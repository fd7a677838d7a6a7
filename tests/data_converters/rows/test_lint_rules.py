"""Every rule of the lint: a row, or a set, that breaks it and nothing else; and sets that break none."""

from __future__ import annotations

import base64
import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lint_rows import ABSENT, EMPTY, FIND, HEIGHT, TAGS, WIDTH, boxed, lint, objects, row, rules
from PIL import Image

from groundswift.answers import Answer, Located
from groundswift.cli import main
from groundswift.data_converters.rows import jsonl_lines as lines
from groundswift.data_converters.rows.lint import checks_images, checks_labels
from groundswift.data_converters.rows.lint.rules import RULES, SEVERITIES, rules_text
from groundswift.errors import GroundswiftError
from groundswift.family import FAMILIES


def labelled(*labels: str) -> dict[str, Any]:
    return boxed(*([index, 2, 30, 40] for index in range(len(labels))), refs=list(labels))


def talked(*roles: str, answer: str = "<ref-object><bbox>") -> dict[str, Any]:
    """A conversation in these roles: the image in the first user's turn, the answer in the last turn."""
    contents = ["<image>Find." if role == "user" and role not in roles[:index] else "So." for index, role in enumerate(roles)]
    contents[-1] = answer
    return row(messages=[{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)])


def filmed(question: str, videos: Any, answer: str = "A dog runs.", **more: Any) -> dict[str, Any]:
    """A question about videos."""
    return row(answer, question, **{"images": ABSENT, "objects": None, "size_wh": ABSENT, "videos": videos} | more)


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**each, "sample_id": index} for index, each in enumerate(rows, 1)]


DRAWN = {  # file -> mode, colour, the rule that it breaks
    "a.png": ("RGB", "grey", None),
    "b.png": ("RGB", "red", None),
    "cmyk.jpg": ("CMYK", 0, "image-cmyk"),
    "deep.png": ("I;16", 0, "image-16-bit"),
    "whole.tif": ("I", 40000, "image-16-bit"),
    "fractions.tif": ("F", 0.5, "image-16-bit"),
    "negative.tif": ("F", -3.0, "image-no-scale"),
    "alpha.png": ("RGBA", 0, "image-alpha"),
    "palette.png": ("P", 0, "image-palette"),
}
URL = "https://example.com/a"
OTHER_FILES = {"no.png": "image-missing", ".": "image-missing", "text.png": "image-unreadable", f"{URL}.png": "image-remote"}
OTHER_FILES |= {"rotated.jpg": "image-exif-rotated"} | {name: rule for name, (*_, rule) in DRAWN.items() if rule}
VIDEOS = {"no.mp4": "video-missing", ".": "video-missing", "memory://clips/no.mp4": "video-missing", "empty.mp4": "video-empty"}
VIDEOS |= {f"{URL}.mp4": "video-remote"}
LABELS = {"label-empty": " ", "label-blank-ends": "dog ", "label-control": "dog\ncat", "label-long": "dog" * 400}
LABELS |= {"label-placeholder": "a <bbox>", "label-mark": "a <|box_start|>"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the images that the rows name."""
    monkeypatch.chdir(tmp_path)
    size = (WIDTH, HEIGHT)
    for name, (mode, colour, _) in DRAWN.items():
        Image.new(mode, size, colour).save(name)
    Image.new("RGB", (402, 2)).save("long.png")
    Image.new("RGB", (100, 80)).save("big.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", size[::-1]).save("rotated.jpg", exif=exif)
    Path("text.png").write_text("not an image")
    Path("clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    Path("empty.mp4").touch()
    Image.effect_noise(size, 50).save("truncated.jpg")
    data = Path("truncated.jpg").read_bytes()
    Path("truncated.jpg").write_bytes(data[: len(data) // 2])
    Path("other.jsonl").write_text(json.dumps(row(images=["b.png"])))
    return tmp_path


def cases() -> dict[str, tuple[Any, ...]]:
    """Name -> (the rule, rows, options if any). EMPTY goes before the rows, so that the set has a negative."""
    small = [[x, y, x + 5, y + 4] for x in range(0, 60, 20) for y in range(0, 40, 10)]
    many_wide = [[x, 2, x + 100, 900] for x in range(0, 900, 15)]
    in_second = {"objects": objects([1, 2, 66, 40], image_id=[1]), "images": ["big.png", "a.png"], "size_wh": [100, 80]}
    stored = {"size_wh": [HEIGHT, WIDTH], "objects": objects([1, 2, 40, 60])}
    two = {"images": ["a.png", "b.png"]}
    twins = objects([1, 2, 30, 40], [1, 2, 30, 40])
    one_label, two_labels = ({"objects": objects(*small[:2], refs=refs)} for refs in ("a", "ab"))
    pair = "<image><image>Find all."
    nan, nothing = float("nan"), "--no-check-images"
    json_box = '{"bbox_2d": <bbox>, "label": "<ref-object>"}'
    return {
        "not JSON": ("not-json", [b"{'a': 1}\n"]),
        "a list": ("not-json", [b"[1]\n"]),
        "truncated line": ("not-json", [json.dumps(row()).encode()[:-9]]),
        "NaN outside boxes": ("not-json", [row(score=nan)]),
        "bad UTF-8": ("not-json", [json.dumps(row()).encode().replace(b"dog", b"d\xffg") + b"\n"]),
        "zero bytes": ("not-json", ['{"a": 1}\n'.encode("utf-16-le")]),
        "no messages": ("no-messages", [{"images": ["a.png"], "sample_id": 1, "size_wh": [WIDTH, HEIGHT]}]),
        "empty messages": ("no-messages", [row(messages=[])]),
        "message is text": ("message-shape", [row(messages=["hi"])]),
        "content is a number": ("message-shape", [row(3)]),
        "role is a number": ("message-shape", [row(messages=[{"role": 1, "content": "x"}])]),
        "unknown role": ("role-unknown", [talked("user", "robot")]),
        "two users": ("roles-order", [talked("user", "user", "assistant")]),
        "late system": ("roles-order", [talked("user", "system", "assistant")]),
        "system alone": ("roles-order", [row(messages=[{"role": "system", "content": "<image>"}], objects=None)]),
        "null answer": ("content-null", [row(None)]),
        "blank answer": ("answer-blank", [row(" ", objects=None)]),
        "question only": ("no-answer", [row(messages=[{"role": "user", "content": "<image>Find all."}])]),
        "one box too few": ("bbox-count", [row(objects={"ref": ["dog"], "bbox": []})]),
        "one box too many": ("bbox-count", [row(objects={"ref": ["dog"], "bbox": [[1, 2, 3, 4], [2, 3, 4, 5]]})]),
        "one label too few": ("ref-count", [row(TAGS * 2, **one_label)]),
        "no ref": ("ref-count", [row(objects={"bbox": [[1, 2, 3, 4]]})]),
        "an image too few": ("image-tags-over", [row(TAGS, pair)]),
        "no image tag": ("image-tags-under", [row(TAGS, "Find all.")]),
        "video": ("tag-left", [row(TAGS, "<image><video>?")]),
        "ref_object": ("tag-misspelt", [row(TAGS, "<image>What is a <ref_object>?")]),
        "closed bbox": ("tag-misspelt", [row("<bbox/>", objects=None)]),
        "native text": ("boxes-as-text", [row("<ref>dog</ref><box>(1,2),(3,4)</box>", objects=None)]),
        "GRPO box": ("solution-boxes", [row(solution='{"bbox_2d": [10, 20, 110.5, 70]}')]),
        "JSON with a score": ("placeholder-json", [row('{"bbox_2d": <bbox>, "label": "<ref-object>", "score": 1}')]),
        "a list in two ways": ("list-unclear", [row("<bbox><ref-object><bbox>", **one_label)]),
        "described without a box": ("bbox-count", [row("A dog.", "<image>Describe <bbox>.", objects=objects())]),
        "found without a label": ("ref-count", [row("<bbox>", "<image>Find <ref-object>.", objects=objects([1, 2, 3, 4], refs=""))]),
        "labels behind boxes": ("label-after-box", [row("<bbox> is a <ref-object>, <bbox> a <ref-object>.", **two_labels)]),
        "a label between two boxes": ("label-unsure", [row("Near <bbox> a <ref-object>, and <bbox>.", **one_label)]),
        "twice in JSON": ("box-duplicate", [row(f"[{json_box}, {json_box}]", objects=twins)]),
        "rejected is the answer": ("rejected-same", [row(rejected_response="<ref-object><bbox>")]),
        "rejected is the answer, as messages": ("rejected-shape", [row(rejected_response=row()["messages"][1:])]),
        "no rejected in one row": ("rejected-missing", [row(rejected_response="No."), row(sample_id=2, rejected_response=None)]),
        "rejected is a number": ("rejected-shape", [row(rejected_response=3)]),
        "rejected asks": ("rejected-shape", [row(rejected_response=[{"role": "user", "content": "Why?"}])]),
        "rejected has a box too many": ("bbox-count", [row(rejected_response="<ref-object><bbox><bbox>")]),
        "rejected has a box too few": ("bbox-count", [row(rejected_response="<bbox>", rejected_objects={"ref": [], "bbox": small[:2]})]),
        "rejected box outside": ("box-outside", [row(rejected_response="<bbox>", rejected_objects={"bbox": [[1, 2, 99, 40]]})]),
        "rejected messages without their boxes": ("bbox-count", [row(rejected_messages=row("<bbox>", "Find.")["messages"])]),
        "rejected messages without their image": ("image-tags-over", [row(rejected_messages=row("No.")["messages"])]),
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
        "boxes, no image": ("objects-without-image", [row(TAGS, "Find all.", images=[])]),
        **{f"image_id {wrong!r}": ("image-id-range", [boxed([1, 2, 30, 40], image_id=[wrong])]) for wrong in (1, -1, "0")},
        "image_id short": ("image-id-short", [row(TAGS * 2, pair, **two, objects=objects(*small[:2], refs="ab", image_id=[1]))]),
        "no image_id": ("image-id-missing", [row(TAGS, pair, **two)]),
        "eight numbers": ("box-length", [boxed([1, 2, 3, 4, 5, 6, 7, 8])]),
        "three numbers": ("box-length", [boxed([1, 2, 3])]),
        "numbers as text": ("box-not-number", [boxed(["1", "2", "3", "4"])]),
        "null in box": ("box-not-number", [boxed([1, None, 3, 4])]),
        "true in box": ("box-not-number", [boxed([True, 2, 3, 4])]),
        "nested": ("box-nested", [boxed([[1, 2, 3, 4], [5, 6, 7, 8]])]),
        "NaN in box": ("box-not-finite", [boxed([1, 2, nan, 4])]),
        "NaN in a point": ("box-not-finite", [boxed([nan, 2])]),
        "beyond a float": ("box-not-finite", [boxed([1, 2, 10**400, 40])]),
        "inverted": ("box-inverted", [boxed([30, 2, 1, 40])]),
        "a line": ("box-empty", [boxed([1, 2, 1, 40])]),
        "right of": ("box-outside", [boxed([1, 2, 66, 40])]),
        "above": ("box-outside", [boxed([1, -2, 6, 40])]),
        "point outside": ("box-outside", [boxed([1, 50])]),
        "by size_wh alone": ("box-outside", [boxed([1, 2, 66, 40])], nothing),
        "in the second image": ("box-outside", [row(TAGS, pair, **in_second)]),
        "over the edge": ("box-over-edge", [boxed([1, 2, 64.4, 40])]),
        "twice": ("box-duplicate", [boxed([1, 2, 30, 40], [1, 2, 30, 40])]),
        "norm1 above 1": ("box-norm1-range", [boxed([0.1, 0.2, 1.3, 0.4], bbox_type="norm1")]),
        "xywh": ("boxes-look-like-xywh", [boxed(*([x, y, 5, 4] for x, y, *_ in small))]),
        "ratios": ("boxes-look-like-ratios", [boxed([0.1, 0.2, 0.5, 0.75])]),
        "norm1000 in a wide image": ("boxes-look-like-norm1000", [{**boxed(*many_wide), "size_wh": [1920, 1080]}], nothing),
        "point for PaliGemma": ("point-unwritten", [boxed([1, 2])], "--family", "paligemma"),
        "images is a number": ("image-shape", [row("None", "Hi.", images=3, objects=None, size_wh=ABSENT)]),
        "truncated": ("image-broken", [row(images=["truncated.jpg"])], "--decode"),
        "budget": ("image-over-budget", [row(images=["big.png"], size_wh=[100, 80])], "--max-pixels", "5000"),
        "aspect": ("image-aspect", [row(images=["long.png"], size_wh=[402, 2], objects={"ref": ["a"], "bbox": [[1, 0, 5, 2]]})]),
        "rotated, unknown": ("image-exif-unknown", [row(images=["rotated.jpg"], size_wh=ABSENT)]),
        "stored size": ("size-wh-stored", [row(images=["rotated.jpg"], **stored)]),
        "other size": ("size-wh-wrong", [row(size_wh=[640, 480])]),
        "size as text": ("size-wh-shape", [row(size_wh="64x48")]),
        "no size": ("size-wh-missing", [row(size_wh=ABSENT)]),
        "videos is a number": ("video-shape", [filmed("?", 3)]),
        "an empty list of frames": ("video-shape", [filmed("<video>?", [[]])]),
        "a video that is null": ("video-shape", [filmed("<video>?", [None])]),
        "no frame": ("video-missing", [filmed("<video>?", [["a.png", "no.png"]])]),
        "a video too few": ("video-tags-over", [filmed("<video><video>?", ["clip.mp4"])]),
        "a video tag in the answer": ("video-tags-over", [filmed("<video>?", ["clip.mp4"], "<video>")]),
        "an image tag for a video": ("image-tags-over", [filmed("<image><video>?", ["clip.mp4"])]),
        "no video tag": ("video-tags-under", [filmed("Look.", "clip.mp4")]),
        **{f"image {name}": (rule, [row(images=[name])]) for name, rule in OTHER_FILES.items()},
        **{f"video {name}": (rule, [filmed("<video>?", [name])]) for name, rule in VIDEOS.items()},
        **{rule: (rule, [labelled(label)]) for rule, label in LABELS.items()},
        "label refused": ("label-refused", [labelled("a <|box_start|>")], "--family", "qwen2_vl"),
        "label in two cases": ("label-variants", [labelled("dog", "Dog")]),
        "no sample_id": ("sample-id-missing", [row(sample_id=ABSENT)]),
        "two types of sample_id": ("sample-id-types", [row(sample_id="a")]),
        "same sample_id": ("sample-id-duplicate", [row(), boxed([2, 3, 4, 5])]),
        "same row": ("row-duplicate", [row(), row()]),
    }


CASES = cases()
APART = {  # rules that need more than a row, tested below by name
    "file-empty", "line-too-long", "old-columns", "rows-mixed", "image-too-large", "image-leak", "label-changed", "label-close",
    "row-too-long", "row-not-encodable", "no-negatives", "boxes-look-like-norm1000", "video-no-reader",
}  # fmt: skip
ALSO = {"rotated, unknown": {"size-wh-missing"}, "xywh": {"box-inverted"}}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_by_a_row_that_breaks_it_alone(name):
    rule, rows, *options = CASES[name]
    rejected = {"rejected_response": "A dog."} if isinstance(rows[0], dict) and "rejected_response" in rows[0] else {}
    document = lint([EMPTY | rejected, *rows], *options)
    assert set(document["rules"]) == {rule} | ALSO.get(name, set())
    found = document["rules"][rule]
    assert found["severity"] == RULES[rule].severity
    assert (found["examples"][0]["file"], found["examples"][0]["line"] in (2, 3)) == ("set.jsonl", True)


def test_every_rule_has_a_case():
    assert {rule for rule, *_ in CASES.values()} | APART == set(RULES)


def test_the_table_of_rules():
    for name, rule in RULES.items():
        assert name == rule.id
        assert rule.severity in SEVERITIES
        assert all([rule.title, rule.effect, rule.remedy])
    shown = CliRunner().invoke(main, ["lint", "--rules"])
    assert shown.exit_code == 0
    assert shown.stdout.strip() == rules_text()
    assert all(name in shown.stdout for name in RULES)


SHARED = [{"from": "human", "value": "<image>?"}, {"from": "gpt", "value": TAGS}]  # the form of ShareGPT
CLEAN = {
    "plain": [row(), EMPTY],
    "one image as text": [row(images="a.png"), EMPTY],
    "image as dict": [row(images=[{"path": "a.png", "bytes": None}]), EMPTY],
    "image column": [row(images=ABSENT, image="a.png"), EMPTY],
    "no objects": [row("A dog.", objects=None)],
    "norm1": [boxed([0.1, 0.2, 0.5, 0.75], bbox_type="norm1"), EMPTY],
    "point": [boxed([5, 6]), EMPTY],
    "label in the question": [row("<bbox>", "<image>Where is the <ref-object>?"), EMPTY],
    "one label, two boxes": [row("<ref-object><bbox><bbox>", objects=objects([1, 2, 3, 4], [5, 6, 7, 8], refs=["dog"])), EMPTY],
    "same box, other label": [boxed([1, 2, 3, 4], [1, 2, 3, 4], refs=["dog", "cat"]), EMPTY],
    "system": [talked("system", "user", "assistant"), EMPTY],
    "two rounds": [talked("user", "assistant", "user", "assistant"), EMPTY],
    "conversations": [row(messages=ABSENT, conversations=SHARED), EMPTY],
    "content in parts": [row(TAGS, [{"type": "image"}, {"type": "text", "text": "?"}]), EMPTY],
    "two images": [row(TAGS, "<image><image>?", images=["a.png", "b.png"], objects=objects([1, 2, 3, 4], image_id=[1])), EMPTY],
    "byte order mark": [b"\xef\xbb\xbf" + json.dumps(row()).encode() + b"\n", EMPTY],
    "CRLF and blank lines": [json.dumps(row()).encode() + b"\r\n\r\n", b"\n", EMPTY],
    "negative ids": [EMPTY | {"sample_id": number} for number in (-1, -2)],
    "no newline at the end": [EMPTY, json.dumps(row()).encode()],
    "a few wide boxes": [{**boxed(*([x, 2, x + 9, 20] for x in range(0, 50, 2))), "images": ["a.png"]}, EMPTY],
}


DOG, ONE_DOG = [1, 2, 30, 40], {"objects": objects([1, 2, 30, 40], refs=["the dog"])}
MENTIONED = {  # rows in which a box may appear as often as it likes, and which have no negatives
    "again in a text": row("<bbox> next to <bbox>, so <bbox> it is.", objects=objects(DOG, DOG, DOG, refs=[])),
    "again in a grounded caption": row("<ref-object><bbox> and <ref-object><bbox>.", objects=objects(DOG, DOG, refs=["Six men"] * 2)),
    "in the question and the answer": row("<bbox>", "<image>What is left of <bbox>?", objects=objects(DOG, DOG, refs=[])),
    "found": row("<bbox>", "<image>Find <ref-object>.", **ONE_DOG),
    "described": row("A dog.", "<image>Describe <bbox>.", objects=objects(DOG, refs=[])),
    "a point": row("<bbox>", "<image>Point at <ref-object>.", objects=objects([10, 20], refs=["the dog"])),
}
NO_FINDINGS = CLEAN | {name: [each] for name, each in MENTIONED.items()}


@pytest.mark.parametrize("name", NO_FINDINGS)
def test_clean_sets(name):
    assert rules(NO_FINDINGS[name]) == set()


OLD = row(messages=ABSENT, query=FIND, response=TAGS)
SMALL = boxed(*([x, 5, x + 90, 950] for x in range(0, 900, 60))) | {"size_wh": [640, 480]}


@pytest.mark.parametrize(
    ("rows", "options", "broken"),
    [
        pytest.param([], (), {"file-empty"}, id="no byte"),
        pytest.param([b"\n \n"], (), {"file-empty"}, id="blank lines"),
        pytest.param([row()], (), {"no-negatives"}, id="no-negatives"),
        pytest.param([OLD], (), {"old-columns", "no-negatives"}, id="old-columns"),
        pytest.param([EMPTY, OLD], (), {"old-columns", "rows-mixed"}, id="rows-mixed"),
        pytest.param([EMPTY, filmed("<video>?", ["no.mp4"])], ("--no-check-images",), set(), id="videos without images"),
        pytest.param([EMPTY, SMALL], ("--no-check-images",), {"boxes-look-like-norm1000", "box-outside"}, id="norm1000 in small images"),
    ],
)
def test_what_only_a_set_breaks(rows, options, broken):
    assert rules(rows, *options) == broken


def test_old_columns_are_checked_like_messages():
    assert "bbox-count" in rules([OLD | {"response": "<ref-object><bbox><bbox>"}])


def test_line_too_long(monkeypatch):
    monkeypatch.setattr(lines.blocks_of, "__defaults__", (1000,))
    document = lint([EMPTY, json.dumps(row(note="x" * 5000)).encode() + b"\n", row(), b" " * 1000], "--workers", "1")
    assert {rule: found["count"] for rule, found in document["rules"].items()} == {"line-too-long": 1}
    assert document["rules"]["line-too-long"]["examples"][0]["line"] == 2
    assert document["rows"] == 2


def test_image_too_large(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT // 2 - 1)
    assert rules([EMPTY, row()]) == {"image-too-large"}


@pytest.mark.parametrize("copied", [False, True], ids=["path", "content"])
def test_image_leak(folder, copied):
    name = "a.png"
    if copied:
        name = "copy.png"
        Path(name).write_bytes(Path("a.png").read_bytes())
    Path("leak.jsonl").write_text(json.dumps(row(images=[str(folder / name)])))
    found = lint([EMPTY, row()], "--against", "leak.jsonl")["rules"]
    assert set(found) == {"image-leak"}
    assert ("content" if copied else "path") in found["image-leak"]["examples"][0]["what"]
    assert rules([EMPTY, row()], "--against", "other.jsonl") == set()


def test_label_changed(monkeypatch):
    monkeypatch.setattr(checks_labels, "parse", lambda text, family: Answer([Located("other", (1, 2, 3, 4))] * 2, "ok", []))
    checks_labels.label_problems.cache_clear()
    found = lint([EMPTY, labelled("a: b")], "--family", "qwen2_vl")["rules"]
    checks_labels.label_problems.cache_clear()
    assert set(found) == {"label-changed"}
    assert "back as 'other'" in found["label-changed"]["examples"][0]["what"]


def test_label_close():
    rows = numbered([labelled("crescent") for _ in range(50)])
    found = lint([EMPTY, *rows, {**labelled("cresent"), "sample_id": 99}])["rules"]
    assert set(found) == {"label-close"}
    assert "'cresent' (1) and 'crescent' (50)" in found["label-close"]["examples"][0]["what"]


@pytest.mark.parametrize(
    ("tokens", "broken"),
    [(10, set()), (11, {"row-too-long"}), (GroundswiftError("no"), {"row-not-encodable"})],
    ids=["fits", "too long", "refused"],
)
def test_row_too_long_and_row_not_encodable(monkeypatch, tokens, broken):
    seen = []

    def counter(given):
        seen.append(given)
        if isinstance(tokens, Exception):
            raise tokens
        return tokens

    monkeypatch.setattr("groundswift.cli.open_token_counter", lambda model, model_type, template: counter)
    found = lint([row(images="a.png"), EMPTY, row(messages=[], sample_id=2)], "--max-length", "10", "--model", "folder")
    assert set(found["rules"]) == broken | {"no-messages"}
    assert seen[0]["messages"] == row()["messages"]
    assert seen[0]["images"] == ["a.png"]
    assert seen[0]["objects"] == row()["objects"]
    assert len(seen) == 2


def test_without_swift_tokens_cannot_be_counted(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "groundswift.swift_plugins.tools.encoding", None)
    Path("set.jsonl").write_text(json.dumps(row()))
    done = CliRunner().invoke(main, ["lint", "set.jsonl", "--max-length", "10", "--model", "folder"])
    assert done.exit_code == 1
    assert "pip install 'groundswift[swift]'" in done.stderr


@pytest.mark.parametrize("label", ["dog", "traffic light", "T-shirt", "item 1 2", "person's hat", "猫", "Größe 3", "box", "loc", "x1 y1"])
def test_labels_that_are_passed_by_fast_can_be_written_by_every_family(label):
    assert checks_labels.HARMLESS.fullmatch(label)
    assert [name for name in FAMILIES if checks_labels.round_trip_problem(label, name)] == []


def test_an_image_in_the_row_itself():
    data = BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT)).save(data, "PNG")
    text = base64.b64encode(data.getvalue()).decode()
    assert rules([row(images=[text]), row(images=["data:image/png;base64," + text], sample_id=3), EMPTY]) == set()


@pytest.mark.parametrize(("asked", "rule"), [(row(images=["b.png"]), "image-missing"), (filmed("<video>?", ["b.png"]), "video-missing")])
def test_root_image_dir(folder, monkeypatch, asked, rule):
    (folder / "sub").mkdir()
    Path("b.png").rename("sub/b.png")
    assert rules([asked, EMPTY]) == {rule}
    monkeypatch.setenv("ROOT_IMAGE_DIR", str(folder / "sub"))
    assert rules([asked, EMPTY]) == set()


def test_an_image_of_many_rows_is_opened_once(monkeypatch):
    opened = []
    check = checks_images.check_image
    monkeypatch.setattr(checks_images, "check_image", lambda source, checks: opened.append(source) or check(source, checks))
    lint(numbered([row() for _ in range(20)]), "--workers", "1")
    assert opened == ["a.png"]
