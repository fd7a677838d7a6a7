"""REFER's folders: pickles of Python 2 and instances.json -> rows, and everything that may be wrong with them."""

from __future__ import annotations

import os
import re
from copy import deepcopy
from pathlib import Path

import pytest
from converted import run
from refcoco_fixture import CAFE, INSTANCES, LADY, draw, pickled, ref, refs, write_refer
from talk_fixture import check_problem, error_of, ours, outcome

from groundswift.data_converters.formats.refcoco.source import RefcocoOptions

PREFIX = "refcoco/unc/val/"


@pytest.fixture
def train2014(tmp_path) -> Path:
    return draw(tmp_path / "train2014")


def options_of(folder: Path, images: Path, split: str = "val", **options: object) -> RefcocoOptions:
    return RefcocoOptions(annotations=str(folder), images=str(images), split=split, **options)


def rows(*arguments: object, **options: object) -> tuple[list[dict], dict[str, int]]:
    return outcome(options_of(*arguments, **options))


def found(sample_id: str, phrase: str, box: list[float], image: Path, size_wh: list[int], question: str = "Find <ref-object>.") -> dict:
    return ours(
        f"<image>{question}",
        "<bbox>",
        images=[str(image)],
        objects={"ref": [phrase], "bbox": [box], "bbox_type": "real"},
        sample_id=sample_id,
        size_wh=size_wh,
        prompt="find.en.1",
    )


@pytest.mark.parametrize("protocol", [0, 2])
def test_find(tmp_path, train2014, protocol):
    made, counts = rows(write_refer(tmp_path, protocol=protocol), train2014)
    lady, box = train2014 / LADY, [5.5, 6, 25.5, 16.5]
    assert made == [
        found(f"{PREFIX}0/0", "the lady", box, lady, [64, 48]),
        found(f"{PREFIX}0/1", "lady in blue", box, lady, [64, 48]),
        found(f"{PREFIX}0/2", "left 'one'\\", box, lady, [64, 48]),
        found(f"{PREFIX}44/141", "sign", [0, 0, 10, 10], train2014 / CAFE, [40, 60]),
    ]
    assert counts == {"phrase-spaces": 1}


def test_describe_a_box_that_sticks_out(tmp_path, train2014):
    made, counts = rows(write_refer(tmp_path), train2014, "testA", task="describe")
    assert made == [
        ours(
            "<image>Describe the object at <bbox>.",
            "right man",
            images=[str(train2014 / LADY)],
            objects={"ref": [], "bbox": [[30, 10, 64, 30]], "bbox_type": "real"},
            sample_id="refcoco/unc/testA/1/3",
            size_wh=[64, 48],
            prompt="describe.en.1",
        )
    ]
    assert counts == {"box-clipped": 1}


@pytest.mark.parametrize(
    ("sentences", "ids"),
    [("all", ["0/0", "0/1", "0/2", "44/141"]), ("first", ["0/0", "44/141"]), ("sampled", ["0/1", "44/141"])],
)
def test_of_several_sentences(tmp_path, train2014, sentences, ids):
    made, _ = rows(write_refer(tmp_path), train2014, sentences=sentences, seed=3)
    assert [row["sample_id"].removeprefix("refcoco/unc/val/") for row in made] == ids


def test_sentences_are_sampled_by_seed(tmp_path, train2014):
    folder = write_refer(tmp_path)
    picks = {rows(folder, train2014, sentences="sampled", seed=seed)[0][0]["sample_id"] for seed in range(20)}
    assert picks == {f"{PREFIX}0/{number}" for number in range(3)}


@pytest.mark.parametrize("below", [".", "train2014", "coco/train2014"])
def test_the_folder_of_the_images_or_one_above(tmp_path, below):
    draw(tmp_path / "data" / below)
    made, _ = rows(write_refer(tmp_path), tmp_path / "data")
    assert made[0]["images"] == [os.path.normpath(tmp_path / "data" / below / LADY)]


def test_without_a_look_images_lie_in_the_folder(tmp_path):
    made, _ = rows(write_refer(tmp_path), tmp_path / "elsewhere", check_images=False)
    assert (made[0]["images"], made[0]["size_wh"]) == ([str(tmp_path / "elsewhere" / LADY)], [64, 48])


@pytest.mark.parametrize(
    ("name", "partition", "split"),
    [("refcoco", "google", "test"), ("refcoco+", "unc", "testB"), ("refcocog", "umd", "test"), ("refcocog", "google", "val")],
)
def test_the_other_sets_and_partitions(tmp_path, train2014, name, partition, split):
    folder = write_refer(tmp_path, name, partition=partition, entries=[ref(7, 1003, 25, split.encode(), {9: b"sign"})])
    made, _ = rows(folder, train2014, split)
    assert [row["sample_id"] for row in made] == [f"{name}/{partition}/{split}/7/9"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"split": "test"}, "refs(unc).p: no ref is of split test; expected val (2 refs), testA (1 refs), train (1 refs)"),
        ({"split_by": "umd"}, "refcoco: has the partitions unc, not umd; expected --split-by with one of them"),
        ({"prompt": "Where is it?"}, "holds <ref-object> 0 times; expected once"),
    ],
)
def test_options_that_cannot_be_used(tmp_path, train2014, options, text):
    assert text in error_of(options_of(write_refer(tmp_path), train2014, **options))


def test_two_partitions_want_a_choice(tmp_path, train2014):
    folder = write_refer(tmp_path)
    write_refer(tmp_path, partition="google", entries=refs()[:1])
    assert "refcoco: has the partitions unc, google; expected --split-by with one of them" in error_of(options_of(folder, train2014))
    assert rows(folder, train2014, split_by="google")[0][0]["sample_id"] == "refcoco/google/val/0/0"


@pytest.mark.parametrize("split_by", [None, "unc"])
@pytest.mark.parametrize("source", ["train2014", "refcoco/refs(unc).p", "gone"])
def test_a_source_that_is_no_such_folder(tmp_path, train2014, source, split_by):
    write_refer(tmp_path)
    options = options_of(tmp_path / source, train2014, split_by=split_by)
    assert re.search(r"has no refs\(unc\).p, .*; expected the folder of a dataset as REFER distributes it", error_of(options))


def test_refs_of_which_none_can_be_read_are_errors(tmp_path, train2014):
    entries = [{b"ref_id": b"7"}, *refs()[1:3]]
    folder = write_refer(tmp_path, entries=entries)
    text = error_of(options_of(folder, train2014, "val", on_error="skip"))
    assert "no ref is of split val; expected testA (1 refs), train (1 refs), but 1 cannot be read:\n" in text
    assert "refs(unc).p: entry 1: not a ref: " in text


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_hostile_pickle_is_refused_and_does_not_run(tmp_path, train2014, monkeypatch, on_error):
    monkeypatch.chdir(tmp_path)
    folder = write_refer(tmp_path)
    (folder / "refs(unc).p").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    error = error_of(options_of(folder, train2014, on_error=on_error))
    assert "refs(unc).p: byte 0: opcode GLOBAL 'os' 'system': it would be imported or called, and was not" in error
    assert not (tmp_path / "owned").exists()


def changed(index: int, **values: object) -> list:
    entries = refs()
    entries[index] |= {key.encode(): value for key, value in values.items()}
    return [{key: value for key, value in each.items() if value is not Ellipsis} for each in entries]


def instances(**values: object) -> dict:
    """INSTANCES with the first annotation or image changed."""
    copy = deepcopy(INSTANCES)
    for key, value in values.items():
        place, _, name = key.partition("__")
        copy[place][0][name] = value
    return copy


TAGGED = [{b"sent_id": 0, b"sent": b"a <bbox> b"}]
HALF = [{b"sent_id": 0, b"sent": "a \ud83d"}]
PROBLEMS = {  # what is broken -> (entries of the pickle, instances.json, reason, place, what)
    "not a dictionary": (["a ref", *refs()[1:]], {}, "ref-unreadable", "refs(unc).p: entry 1", "Expected `object`, got `str`"),
    "sentences are one text": (changed(0, sentences=b"the lady"), {}, "ref-unreadable", "refs(unc).p: entry 1", "at `$.sentences`"),
    "a missing key": (changed(0, ann_id=...), {}, "ref-unreadable", "refs(unc).p: entry 1", "missing required field `ann_id`"),
    "a gigantic id": (changed(0, ref_id=10**5000), {}, "ref-unreadable", "refs(unc).p: entry 1", "at `$.ref_id`"),
    "a gigantic id of a sentence": (
        changed(0, sentences=[{b"sent_id": 10**5000, b"sent": b"x"}]), {}, "ref-unreadable", "refs(unc).p: entry 1", ".sent_id`",
    ),
    "an unknown annotation": (changed(0, ann_id=5), {}, "annotation-unknown", "ref 0 (COCO_train2014_000000000009_0.jpg)", "ann_id 5"),
    "an unknown image": ([*changed(0, image_id=9)], {"images": INSTANCES["images"][1:]}, "image-unknown", "ref 0 (", "image_id 9"),
    "two images": (changed(0, ann_id=1003), {}, "annotation-other-image", "ref 0 (", "annotation 1003 is on image 25"),
    "a repeated ref": ([refs()[3], *refs()[1:]], {}, "ref-id-repeated", "refs(unc).p: ref 44", "duplicate ref id 44"),
    "a box of 3 numbers": (refs(), instances(annotations__bbox=[1, 2, 3]), "box-length", "ref 0 (", "bbox [1.0, 2.0, 3.0]"),
    "a gigantic number": (refs(), instances(annotations__bbox=[1e308, 2, 1e308, 4]), "box-not-finite", "ref 0 (", "1e+308"),
    "an inverted box": (refs(), instances(annotations__bbox=[9, 9, -3, 4]), "box-inverted", "ref 0 (", "box [9.0, 9.0, 6.0, 13.0]"),
    "another size": (refs(), instances(images__width=65), "image-size-differs", "ref 0 (", "annotated as 65x48 px"),
    "no size": (refs(), instances(images__width=0, images__height=0), "box-outside", "ref 0 (", "its image of 0x0 px"),
    "a path that leaves": (refs(), instances(images__file_name="../../x.jpg"), "image-path-outside", "ref 0 (", "../x.jpg"),
    "no image": (refs(), instances(images__file_name="gone.jpg"), "image-missing", "ref 0 (", "image not found: "),
    "half a character": (changed(0, sentences=HALF), {}, "text-lone-surrogate", "sentence 0 of", "a lone surrogate"),
    "a tag of swift": (changed(0, sentences=TAGGED), {}, "text-tag", "sentence 0 of", "<bbox>"),
}  # fmt: skip


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_stops_or_is_skipped_and_counted(tmp_path, train2014, name):
    entries, changes, reason, place, what = PROBLEMS[name]
    folder = write_refer(tmp_path, entries=entries, **changes)
    check_problem(options_of(folder, train2014), reason, place, what, left=1)


def test_blank_phrases_are_skipped_and_counted(tmp_path, train2014):
    entries = changed(0, sentences=[{b"sent_id": 0, b"sent": b" \n"}, {b"sent_id": 1, b"sent": b"her"}])
    made, counts = rows(write_refer(tmp_path, entries=entries), train2014)
    assert [row["sample_id"] for row in made] == [f"{PREFIX}0/1", f"{PREFIX}44/141"]
    assert counts == {"phrase-blank": 1}


def test_a_sentence_id_twice(tmp_path, train2014):
    entries = changed(0, sentences=[{b"sent_id": 0, b"sent": b"she"}, {b"sent_id": 0, b"sent": b"her"}])
    options = options_of(write_refer(tmp_path, entries=entries), train2014)
    check_problem(options, "sentence-id-repeated", "duplicate sentence id 0", left=[f"{PREFIX}0/0", f"{PREFIX}44/141"])


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("refs(unc).p", pickled({b"refs": []}), "refs(unc).p: holds a dict; expected a list of refs"),
        ("instances.json", b'{"images": []}', "missing required field `annotations`"),
    ],
)
@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_file_of_another_kind_stops(tmp_path, train2014, name, content, text, on_error):
    folder = write_refer(tmp_path)
    (folder / name).write_bytes(content)
    assert text in error_of(options_of(folder, train2014, on_error=on_error))


def test_ids_of_instances_duplicated_stop(tmp_path, train2014):
    folder = write_refer(tmp_path, annotations=INSTANCES["annotations"] + INSTANCES["annotations"][:1])
    assert re.search(r"instances.json: duplicate annotation id 1001", error_of(options_of(folder, train2014, on_error="skip")))


def test_split_has_to_be_said(tmp_path, train2014):
    done = run("convert", "refcoco", write_refer(tmp_path), "--images", train2014, "--dry-run")
    assert done.exit_code == 2
    assert "Missing option '--split'" in done.stderr
