"""Flickr30k Entities -> rows: its own files, as they are published, with their oddities and broken in every way."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from flickr30k_fixture import CARDS, GUYS, OBJECTS, SIZES_WH, annotation, box, unboxed, write_flickr30k
from source_examples import put
from talk_fixture import error_of, ours, outcome, texts

from groundswift.data_converters.formats.flickr30k.parse import Phrase, sentence, sentences
from groundswift.data_converters.formats.flickr30k.source import Flickr30kOptions
from groundswift.data_converters.issues import IssueLog, SkipSample
from groundswift.errors import GroundswiftError
from groundswift.worker_pool import WorkerPool

GUY, BOTH = [196, 109, 260, 372], [[158, 124, 218, 334], [196, 109, 260, 372]]
BUSHES, FRIENDS = [[0, 219, 210, 472], [275, 214, 331, 336]], [[1, 2, 29, 39], [9, 9, 20, 30]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_flickr30k(tmp_path / "entities")


def options_of(folder: Path, **options: Any) -> Flickr30kOptions:
    return Flickr30kOptions(annotations=str(folder), images=str(folder / "images"), **options)


def converted(folder: Path, **options: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    return outcome(options_of(folder, **options))


def rows(folder: Path, **options: Any) -> list[dict[str, Any]]:
    return converted(folder, **options)[0]


def labelled(row: dict[str, Any]) -> str:
    """The answer with its labels in their places."""
    labels = iter(row["objects"]["ref"])
    answer = re.sub("<ref-object>", lambda _: next(labels), texts(row)[1])
    assert next(labels, None) is None
    return answer


def test_grounded_captions(folder):
    made, counts = converted(folder)
    assert made[0] == ours(
        "<image>Describe the picture and give the boxes of what you name.",
        "<ref-object><bbox><bbox> with <ref-object><bbox> look at each other in the yard .",
        images=[str(folder / f"images/{GUYS}.jpg")],
        objects={"ref": ["Two young guys", "shaggy hair"], "bbox": [*BOTH, [0, 109, 260, 372]], "bbox_type": "real"},
        sample_id=f"flickr30k/{GUYS}/1",
        size_wh=[333, 500],
        prompt="grounded_caption.en.1",
        phrase_types=["people", "bodyparts"],
    )
    assert made[1]["phrase_types"] == ["people", "scene/other"]
    assert [(row["sample_id"].removeprefix("flickr30k/"), labelled(row), row["objects"]["bbox"]) for row in made[1:]] == [
        (f"{GUYS}/2", "Two young , White males<bbox><bbox> are outside near many bushes<bbox><bbox> .", [*BOTH, *BUSHES]),
        (f"{GUYS}/3", "A man<bbox> in a blue shirt<bbox> standing .", [GUY, [199, 149, 332, 499]]),
        (f"{GUYS}/4", "Two friends<bbox><bbox> enjoy time spent together .", BOTH),
        (f"{CARDS}/1", "A group of friends<bbox> playing cards<bbox> .", FRIENDS),
        (f"{CARDS}/2", "Six men<bbox> and Six men<bbox> play cards<bbox> .", [FRIENDS[0], *FRIENDS]),
    ]
    assert counts == {"box-clipped": 1, "box-repeated-entity": 1, "phrase-without-boxes": 3, "sentence-without-boxes": 1}


def test_phrase_grounding(folder):
    made, counts = converted(folder, task="phrase_grounding")
    sentence = "Two young guys with shaggy hair look at each other in the yard ."
    assert texts(made[0]) == [
        f"<image>Give the boxes of the things named in this sentence: {sentence}",
        "<ref-object><bbox><bbox><ref-object><bbox>",
    ]
    assert made[0]["objects"]["ref"] == ["Two young guys", "shaggy hair"]
    assert texts(made[-1])[1] == "<ref-object><bbox><ref-object><bbox>"
    assert made[-1]["objects"]["ref"] == ["Six men", "cards"]
    assert counts["phrase-repeated"] == 1


def test_reverse(folder):
    made = rows(folder, task="reverse")
    assert [(row["sample_id"].removeprefix("flickr30k/"), texts(row), row["objects"]["bbox"]) for row in made[:4]] == [
        (f"{GUYS}/1/1", ["<image>Name what is at <bbox><bbox>.", "Two young guys"], BOTH),
        (f"{GUYS}/1/2", ["<image>Name what is at <bbox>.", "shaggy hair"], [[0, 109, 260, 372]]),
        (f"{GUYS}/2/1", ["<image>Name what is at <bbox><bbox>.", "Two young , White males"], BOTH),
        (f"{GUYS}/2/2", ["<image>Name what is at <bbox><bbox>.", "many bushes"], BUSHES),
    ]
    assert all(row["objects"]["ref"] == [] for row in made)
    assert len({row["sample_id"] for row in made}) == len(made) == 12


def test_the_sentence_of_several_objects(folder):
    made = rows(folder, task="reverse_sentence", prompt="Caption <bbox>")
    assert texts(made[1]) == ["<image>Caption <bbox><bbox><bbox><bbox>", "Two young , White males are outside near many bushes ."]
    assert made[1]["objects"] == {"ref": [], "bbox": [*BOTH, *BUSHES], "bbox_type": "real"}
    assert made[-1]["objects"]["bbox"] == [[1, 2, 29, 39], [9, 9, 20, 30]]  # each box once


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sentences": "first"}, [f"{GUYS}/1", f"{CARDS}/1"]),
        ({"sentences": 2}, [f"{GUYS}/1", f"{GUYS}/2", f"{CARDS}/1", f"{CARDS}/2"]),
        ({"split": "train.txt", "sentences": "first"}, [f"{CARDS}/1", f"{GUYS}/1"]),
        ({"split": "train.txt", "limit": 1}, [f"{CARDS}/1", f"{CARDS}/2"]),
        ({"unrelated": "UNRELATED_CAPTIONS", "limit": 1}, [f"{GUYS}/1", f"{GUYS}/2", f"{GUYS}/3"]),
    ],
)
def test_which_sentences(folder, options, expected):
    options = {key: str(folder / value) if key in ("split", "unrelated") else value for key, value in options.items()}
    assert [row["sample_id"].removeprefix("flickr30k/") for row in rows(folder, **options)] == expected


def test_sampled_questions_do_not_depend_on_what_else_is_made(folder):
    everything = {row["sample_id"]: row["prompt"] for row in rows(folder, prompts="sampled", language="both", seed=3)}
    some = rows(folder, prompts="sampled", language="both", seed=3, split=str(folder / "train.txt"), sentences="first")
    assert {row["sample_id"]: row["prompt"] for row in some}.items() <= everything.items()
    assert len(set(everything.values())) > 1


def test_marks():
    assert sentence("[/EN#0/notvisual ] a [/EN#1/a/b x ] .\r", 3, "s") == (
        3,
        ["a", "x", "."],
        [Phrase("0", 0, 0, "notvisual"), Phrase("1", 1, 2, "a/b")],
    )
    assert sentence("[/EN#7/other]", 1, "s") == (1, [], [Phrase("7", 0, 0, "other")])
    assert [each.number for each in sentences("a\r\n\r\nb\x85c\n", "s")] == [1, 3]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[/EN#1/people Two people", r"s: the phrase of entity 1 is not closed; expected \] after its last word"),
        ("[/EN#1/people Two [/EN#2/other people]]", r"s: \[/EN#2/other within a phrase; expected \] before the next \["),
        ("a [sic] b", r"s: '\[sic\]'; expected \[/EN#id/type words\]"),
        ("[/EN#/people Two]", r"s: '\[/EN#/people'; expected"),
        ("[ /EN#1/people Two]", r"s: '\['; expected"),
    ],
)
def test_marks_that_cannot_be_read(line, message):
    with pytest.raises(SkipSample) as stopped:
        sentence(line, 1, "s")
    assert re.match(message, str(stopped.value.issue))


BILLION = '<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>\n<annotation>&c;</annotation>'
SIZE = SIZES_WH[CARDS]


def cards(*objects: str, size_wh: tuple[Any, Any] = SIZE) -> str:
    return annotation(CARDS, size_wh, objects)


SPOILT_XML: dict[str, tuple[str | bytes, str]] = {  # content of the XML -> what is said
    "entities": (BILLION, r"36979\.xml: XML with a DTD or its own entities; expected plain XML"),
    "another root": ("<html/>", r"36979\.xml: XML of <html>; expected <annotation>"),
    "no size": ("<annotation/>", r"36979\.xml: 0 <size/width>; expected one whole number"),
    "size of zero": (cards(size_wh=(0, 40)), r"36979\.xml: size 0x40; expected at least 1x1 px"),
    "size of text": (cards(size_wh=("wide", 40)), r"<size/width> is 'wide'; expected one whole number"),
    "another size": (cards(size_wh=(61, 40)), r"image 36979: annotated as 61x40 px, but the image is 60x40 px; expected one size"),
    "no name": (cards("<object><bndbox/></object>"), r"36979\.xml, object 1: no <name>, or a blank one"),
    "blank name": (cards("<object><name/></object>"), r"36979\.xml, object 1: no <name>, or a blank one"),
}
SPOILT_OBJECTS: dict[str, tuple[str, str]] = {  # an object of entity 137645 -> what is said
    "no box": ("<object><name>137645</name></object>", r"36979\.xml, object 1: neither <bndbox> nor <nobndbox> or <scene>"),
    "no corners": ("<object><name>137645</name><bndbox/></object>", r"object 1: 0 <xmin>; expected one whole number"),
    "NaN": (box(137645, corners=("NaN", 1, 2, 3)), r"object 1: <xmin> is 'NaN'; expected one whole number of at most 9 digits"),
    "gigantic": (box(137645, corners=(1, 1, "9" * 400, 3)), r"object 1: <xmax> is '9{40}'; expected"),
    "fraction": (box(137645, corners=(1, 1, 2.5, 3)), r"object 1: <xmax> is '2\.5'; expected one whole number"),
    "other digits": (box(137645, corners=("\u0661", 1, 2, 3)), r"object 1: <xmin> is '\u0661'"),
    "two corners": (f"<object><name>137645</name><bndbox>{'<xmin>1</xmin>' * 2}</bndbox></object>", r"object 1: 2 <xmin>"),
    "inverted": (box(137645, corners=(30, 1, 20, 5)), r"image 36979, entity 137645: box \[29, 0, 19, 4\]; expected x1 below x2"),
    "no area": (box(137645, corners=(3, 3, 3, 9)), r"entity 137645: box \[2, 2, 2, 8\]; expected x1 below x2"),
    "outside": (box(137645, corners=(100, 1, 200, 5)), r"entity 137645: box .*; expected a box that overlaps its image of 60x40 px"),
}


@pytest.mark.parametrize(("spoilt", "message"), SPOILT_OBJECTS.values(), ids=SPOILT_OBJECTS)
def test_an_object_that_cannot_be_used_takes_its_entity_with_it(folder, spoilt, message):
    """The other boxes of the entity are no answer either: they would teach that there are no more."""
    objects = [spoilt, *OBJECTS[CARDS]]
    (folder / f"Annotations/{CARDS}.xml").write_text(cards(*objects), encoding="utf-8")
    assert re.search(message, error_of(options_of(folder)))
    made, counts = converted(folder, on_error="skip")
    assert texts(made[-2])[1] == "<ref-object><bbox> playing cards ."
    assert counts["phrase-box-invalid"] == 2


TEXT = f"Sentences/{CARDS}.txt"
SPOILT_TEXT: dict[str, tuple[str, bytes, str]] = {  # what is named -> file, content, what is said
    "not UTF-8": (TEXT, b"[/EN#137645/other caf\xe9] .", r"Sentences/36979\.txt: not UTF-8 text \(byte 21\)"),
    "empty": (TEXT, b"", r"Sentences/36979\.txt: no sentence; expected one per line"),
    "not closed": (TEXT, b"a man .\n[/EN#137645/other cards", r"Sentences/36979\.txt:2: the phrase of entity 137645 is not closed"),
    "a tag of swift": (TEXT, b"[/EN#137645/other a <bbox>] .", r"sentence 1 of image 36979: holds <bbox>, which swift would replace"),
    "a control character": (TEXT, b"[/EN#137645/other a\0] .", r"sentence 1 of image 36979: holds '\\x00'; expected"),
    "no image": (f"images/{CARDS}.jpg", b"no image", r"image 36979: .*36979\.jpg.*not a readable image"),
}


SPOILT = {name: (f"Annotations/{CARDS}.xml", *each) for name, each in SPOILT_XML.items()} | SPOILT_TEXT


@pytest.mark.parametrize(("name", "content", "message"), SPOILT.values(), ids=SPOILT)
def test_spoilt_files(folder, name, content, message):
    put(folder / name, content)
    assert re.search(message, error_of(options_of(folder)))
    made, counts = converted(folder, on_error="skip")
    assert {row["sample_id"].split("/")[1] for row in made} == {GUYS}
    assert sum(counts.values()) > 6  # 6: the counts of the other image


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"Sentences/{CARDS}.txt", r"train\.txt:1: file not found: .*Sentences/36979\.txt; expected the file of sentences of the image"),
        (f"Annotations/{CARDS}.xml", r"train\.txt:1: file not found: .*Annotations/36979\.xml; expected the file of annotations"),
        (f"images/{CARDS}.jpg", r"image 36979: image not found: .*images/36979\.jpg; expected the image file"),
    ],
)
def test_missing_files(folder, name, message):
    (folder / name).unlink()
    assert re.search(message, error_of(options_of(folder, split=str(folder / "train.txt"))))
    made, counts = converted(folder, split=str(folder / "train.txt"), on_error="skip")
    assert {row["sample_id"].split("/")[1] for row in made} == {GUYS}
    assert any("missing" in reason for reason in counts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"../../etc/passwd\n", r"train\.txt:1: '\.\./\.\./etc/passwd'; expected the id of an image"),
        (b"36979\n\n36979.jpg x\n", r"train\.txt:3: '36979\.jpg x'; expected the id of an image"),
        (b"36979\n36979\n", r"train\.txt:2: duplicate image id 36979; expected each image once"),
        (b"36979\n99\n", r"train\.txt:2: file not found: .*Sentences/99\.txt"),
    ],
)
def test_spoilt_lists(folder, content, message):
    (folder / "train.txt").write_bytes(content + GUYS.encode())
    assert re.search(message, error_of(options_of(folder, split=str(folder / "train.txt"))))
    assert rows(folder, split=str(folder / "train.txt"), on_error="skip")[-1]["sample_id"] == f"flickr30k/{GUYS}/4"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "none.txt"}, r"none\.txt: cannot be read \(No such file or directory\); expected image ids, one per line"),
        ({"split": "latin.txt"}, r"latin\.txt: not UTF-8 text \(byte 0\); expected image ids"),
        ({"split": "blank.txt"}, r"nothing to write: the source has no image"),
        ({"unrelated": "train.txt"}, r"train\.txt:1: '36979'; expected the id of an image and the number of a sentence"),
        ({"sentences": 0}, r"--sentences: 0; expected all, first, or a number from 1"),
        ({"task": "phrase_grounding", "prompt": "Where?"}, r"'Where\?': does not contain \{sentence\}; expected \{sentence\}"),
        ({"task": "reverse", "prompt": "Where?"}, r"'Where\?': holds <bbox> 0 times; expected once"),
    ],
)
def test_options_that_cannot_be_used(folder, options, message):
    (folder / "latin.txt").write_bytes(b"\xe9")
    (folder / "blank.txt").write_bytes(b"\n \n")
    options = {key: str(folder / value) if key in ("split", "unrelated") else value for key, value in options.items()}
    assert re.search(message, error_of(options_of(folder, **options)))


def test_a_folder_of_another_kind(tmp_path):
    (tmp_path / "images").mkdir()
    assert re.search(r"Sentences: cannot be listed \(No such file or directory\); expected the folders", error_of(options_of(tmp_path)))
    with pytest.raises(GroundswiftError, match=r"https://host/entities/Sentences: a folder on the web cannot be listed"):
        Flickr30kOptions(annotations="https://host/entities", images=str(tmp_path)).open(IssueLog(), WorkerPool())


def test_mark_and_lone_carriage_returns(folder):
    plain = rows(folder, split=str(folder / "train.txt"), unrelated=str(folder / "UNRELATED_CAPTIONS"))
    for path in (*folder.glob("*/*.txt"), *folder.glob("*/*.xml"), folder / "train.txt", folder / "UNRELATED_CAPTIONS"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r"))
    assert rows(folder, split=str(folder / "train.txt"), unrelated=str(folder / "UNRELATED_CAPTIONS")) == plain


def test_a_name_that_is_no_id_in_the_folder_of_sentences(folder):
    """A row could not hold the path of its image: b"\\xff" is no text."""
    (folder / "Sentences" / os.fsdecode(b"\xff.txt")).write_text("A man .")
    assert re.search(r"Sentences/.*\.txt: '\\udcff'; expected the id of an image", error_of(options_of(folder)))
    made, counts = converted(folder, on_error="skip")
    assert (made[0]["sample_id"], counts["id-malformed"]) == (f"flickr30k/{GUYS}/1", 1)


def test_an_entity_that_is_not_annotated(folder):
    (folder / f"Annotations/{CARDS}.xml").write_text(cards(OBJECTS[CARDS][1], unboxed(7)), encoding="utf-8")
    made, counts = converted(folder, split=str(folder / "train.txt"), limit=1)
    assert [texts(row)[1] for row in made] == [
        "A group of friends playing <ref-object><bbox> .",
        "Six men and Six men play <ref-object><bbox> .",
    ]
    assert counts == {"phrase-entity-unknown": 3}


def test_without_a_look_at_the_images(folder):
    looked = rows(folder)
    for path in folder.glob("images/*"):
        path.unlink()
    assert rows(folder, check_images=False) == looked
