"""`--dataset NAME#N` for sets of the hubs, loaded by swift's own code from copies that have the hubs' layout and schema."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Features, Value
from datasets import Image as ImageFeature
from datasets import List as ListFeature
from hub_copies import LATEX_README, png, write_parquet, write_text
from PIL import Image
from rows import read_rows
from swift.dataset import DATASET_MAPPING, load_dataset
from swift.dataset.dataset_syntax import DatasetSyntax
from tiny_run import TEMPLATE, options, sft_process, swift_process

from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.grounding.datasets import hub as hub_sets
from groundswift.swift_plugins.grounding.datasets.hub import HUB_SETS, KINDS

CLASSES = ["person", "bicycle", "car"]


def coco_row(image_id: int, *objects: tuple[int, list[float]], size_wh: tuple[int, int] = (64, 48), **changes: Any) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "image": {"bytes": png(size_wh, image_id % 250), "path": None},
        "width": size_wh[0],
        "height": size_wh[1],
        "objects": {
            "bbox_id": list(range(len(objects))),
            "category": [category for category, _ in objects],
            "bbox": [box for _, box in objects],
            "area": [1.0] * len(objects),
        },
        **changes,
    }


def write_coco(root: Path, owner: str, train: list[dict], val: list[dict]) -> Path:
    """A copy as a clone of the repository is: files in `data`, the old list of features next to them."""
    features = Features(
        {
            "image_id": Value("int64"),
            "image": ImageFeature(),
            "width": Value("int64"),
            "height": Value("int64"),
            "objects": {
                "bbox_id": ListFeature(Value("int64")),
                "category": ListFeature(ClassLabel(names=CLASSES)),
                "bbox": ListFeature(ListFeature(Value("float64"))),
                "area": ListFeature(Value("float64")),
            },
        }
    )
    folder = root / owner
    write_parquet(folder / "data/train-00000-of-00001-abc.parquet", train, features)
    write_parquet(folder / "data/val-00000-of-00001-def.parquet", val, features)
    (folder / "README.md").write_text("---\ntask_categories:\n  - object-detection\n---\n")
    return folder


TRAIN = [
    coco_row(9, (2, [10.5, 20, 30, 40]), (0, [1.25, 2, 64, 48])),
    coco_row(25),
    *(coco_row(100 + n, (1, [n, 1, 20, 20])) for n in range(6)),
]
VAL = [coco_row(139, (1, [0, 0, 10, 10]))]


@pytest.fixture
def hub(plugin, tmp_path, monkeypatch) -> Path:
    """A folder that GROUNDSWIFT_HUB names, with COCO as Hugging Face has it, LaTeX-OCR and the captions of ModelScope."""
    root = tmp_path / "hub"
    write_coco(root, "detection-datasets/coco", TRAIN, VAL)
    latex = root / "AI-ModelScope/LaTeX_OCR"
    write_text(latex / "full/validation-00000-of-00001.parquet", [(r"\frac{a}{b}", png((40, 20))), (r"x<y", png((41, 20)))])
    write_text(latex / "full/test-00000-of-00001.parquet", [(r"\alpha", png((42, 20)))])
    write_text(latex / "small/train-00000-of-00001.parquet", [(r"\beta", png((43, 20)))])
    (latex / "README.md").write_text(LATEX_README)
    captions = root / "modelscope/coco_2014_caption/coco_2014_caption"
    write_text(captions / "validation-00000-of-00001.parquet", [("a dog&&the dog", png((44, 20)))], "caption")
    monkeypatch.setenv("GROUNDSWIFT_HUB", str(root))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return root


def ref_row(ref_id: int, split: str, image: str, bbox: list[float], *sentences: str, size_wh: tuple[int, int] = (64, 48)) -> dict[str, Any]:
    """A row of jxu124/refcoco (swift/refcoco) with all its columns."""
    listed = [
        {"raw": text.upper(), "sent": text, "sent_id": ref_id * 10 + index, "tokens": text.split()} for index, text in enumerate(sentences)
    ]
    info = {"license": 1, "file_name": image, "height": size_wh[1], "width": size_wh[0], "id": 581857}
    return {
        "sent_ids": [each["sent_id"] for each in listed],
        "file_name": image.replace(".jpg", "_16.jpg"),
        "ann_id": 1719310,
        "ref_id": ref_id,
        "image_id": 581857,
        "split": split,
        "sentences": listed,
        "category_id": 1,
        "raw_anns": json.dumps({"bbox": [bbox[0], bbox[1], bbox[2] - bbox[0], bbox[3] - bbox[1]]}),
        "raw_image_info": json.dumps(info),
        "raw_sentences": json.dumps(listed),
        "image_path": f"coco/train2014/{image}",
        "bbox": bbox,
        "captions": list(sentences),
        "global_image_id": "coco.581857",
        "anns_id": "1719310",
    }


@pytest.fixture
def refs(hub) -> Path:
    """RefCOCO on ModelScope, with the images that swift downloads apart from it, and lmms-lab's, which hold theirs."""
    name = "COCO_train2014_000000581857.jpg"
    (hub / "media/coco2014/train2014").mkdir(parents=True)
    Image.new("L", (64, 48)).save(hub / "media/coco2014/train2014" / name)
    folder = hub / "swift/refcoco/data"
    train = [ref_row(2, "train", name, [1.5, 2, 30, 40], "the lady", "lady in blue"), ref_row(5, "train", "gone.jpg", [1, 2, 3, 4], "x")]
    for split, rows in (("train", train), ("validation", [ref_row(3, "val", name, [0, 0, 64.25, 48], "the man")])):
        write_parquet(folder / f"{split}-00000-of-00001.parquet", rows, None)
    (hub / "swift/refcoco/README.md").write_text("# RefCOCO\n")
    features = {
        "question_id": Value("string"),
        "image": ImageFeature(),
        "question": Value("string"),
        "answer": ListFeature(Value("string")),
    }
    features |= {"segmentation": ListFeature(Value("float32")), "bbox": ListFeature(Value("float32")), "iscrowd": Value("int8")}
    row = {"question_id": "469306", "image": {"bytes": png((64, 48)), "path": "a.jpg"}, "question": "Please carefully observe the area"}
    row |= {"answer": ["top left", "the dog"], "segmentation": [1.0], "bbox": [1.25, 2, 30, 40], "iscrowd": 0, "file_name": name}
    features = Features(features | {"file_name": Value("string")})
    write_parquet(hub / "lmms-lab/RefCOCO/data/val-00000-of-00001.parquet", [row], features)
    return hub


def load(*names: str, **more: Any):
    return load_dataset(list(names), num_proc=1, load_from_cache_file=False, **more)[0]


def said(row: dict[str, Any]) -> list[str]:
    return [each["content"] for each in row["messages"]]


def test_detection_rows_and_their_ids(hub):
    rows = load("coco-detect")
    assert rows["sample_id"][:] == [9, 25, *range(100, 106)]
    first, empty = rows[0], rows[1]
    assert said(first) == ["<image>Detect every object of these categories: person, bicycle, car.", "<ref-object><bbox><ref-object><bbox>"]
    assert first["objects"] == {"ref": ["person", "car"], "bbox": [[1.25, 2, 64, 48], [10.5, 20, 30, 40]], "bbox_type": "real"}
    assert first["size_wh"] == [64, 48]
    assert first["images"] == [{"bytes": TRAIN[0]["image"]["bytes"], "path": None}]
    assert (said(empty)[1], empty["objects"]["bbox"]) == ("None", [])


def test_another_split_and_several(hub):
    assert load("coco-detect:val")["sample_id"][:] == [139]
    assert load("coco-detect:val/train")["sample_id"][:] == [139, 9, 25, *range(100, 106)]


def test_a_sample_is_random_and_the_same_every_time(hub):
    once, again = load("coco-detect#4")["sample_id"][:], load("coco-detect#4")["sample_id"][:]
    assert once == again
    assert len(set(once)) == 4
    assert once != load("coco-detect")["sample_id"][:4]


def test_a_sample_makes_no_more_rows_than_it_needs(hub, monkeypatch):
    looked, look = [], hub_sets.embedded_size_wh
    monkeypatch.setattr(hub_sets, "embedded_size_wh", lambda *given: looked.append(given) or look(*given))
    assert len(load("coco-detect#3")) == 3
    assert len(looked) == 3


def test_more_than_there_are_repeats(hub):
    assert len(load("coco-detect#20")) == 20


def test_a_validation_set_is_split_off(hub):
    rows, validation = load_dataset(["coco-detect"], split_dataset_ratio=0.25, num_proc=1)
    assert (len(rows), len(validation)) == (6, 2)


def test_formulas(hub):
    rows = load("latex-ocr-print")
    assert [said(row) for row in rows] == [
        ["<image>Write the formula in the picture as LaTeX.", text] for text in (r"\frac{a}{b}", "x<y", r"\alpha")
    ]
    assert rows["sample_id"][:] == ["latex-ocr-print/validation/1", "latex-ocr-print/validation/2", "latex-ocr-print/test/1"]
    assert rows["size_wh"][:] == [[40, 20], [41, 20], [42, 20]]
    assert [said(row)[1] for row in load("latex-ocr-small:train")] == [r"\beta"]


def test_referring_expressions_that_users_of_2_know(refs):
    path = str(refs / "media/coco2014/train2014/COCO_train2014_000000581857.jpg")
    rows = load("refcoco-unofficial-grounding")
    assert [said(row) for row in rows] == [["<image>Find <ref-object>.", "<bbox>"]] * 2
    assert [row["objects"]["ref"] for row in rows] == [["the lady"], ["the man"]]
    assert [row["objects"]["bbox"] for row in rows] == [[[1.5, 2, 30, 40]], [[0, 0, 64, 48]]]
    assert rows["sample_id"][:] == ["refcoco/unc/train/2/20", "refcoco/unc/val/3/30"]
    assert rows["images"][0] == [{"bytes": None, "path": path}]
    assert [said(row) for row in load("refcoco-unofficial-caption#2")][0][0] == "<image>Describe the object at <bbox>."


def test_every_sentence_and_another_split(refs):
    rows = load("refcoco-describe")
    assert [(row["sample_id"], said(row)[1]) for row in rows] == [
        ("refcoco/unc/train/2/20", "the lady"),
        ("refcoco/unc/train/2/21", "lady in blue"),
    ]
    assert load("refcoco-find:validation")["sample_id"][:] == ["refcoco/unc/val/3/30"]


def test_referring_expressions_with_their_images(refs):
    rows = load("hf::refcoco-eval-find")
    assert rows["sample_id"][:] == ["refcoco-eval/val/1/469306/0", "refcoco-eval/val/1/469306/1"]
    assert [row["objects"]["ref"] for row in rows] == [["top left"], ["the dog"]]
    assert rows[0]["objects"]["bbox"] == [[1.25, 2, 31.25, 42]]
    assert rows[0]["images"] == [{"bytes": png((64, 48)), "path": None}]
    assert rows[0]["size_wh"] == [64, 48]


def test_questions_about_videos(hub):
    folder = hub / "swift/VideoChatGPT"
    asked = {"video_name": "v_1", "question": "What happens?", "question_1": "None", "question_2": "None", "answer": "Nothing."}
    twice = asked | {"question": "None", "question_1": "Who?", "question_2": "Which one?"}
    for subset, rows in (("Generic", [asked, asked | {"video_name": "gone"}]), ("Temporal", [asked]), ("Consistency", [twice])):
        write_parquet(folder / subset / "test-00000-of-00001.parquet", rows, None)
    (hub / "media/video_chatgpt/Test_Videos").mkdir(parents=True)
    (hub / "media/video_chatgpt/Test_Videos/v_1.mp4").write_bytes(b"a video")
    rows = load("video-chatgpt")
    assert [(row["sample_id"], said(row)) for row in rows] == [
        ("video-chatgpt/Generic/1", ["<video>What happens?", "Nothing."]),
        ("video-chatgpt/Temporal/1", ["<video>What happens?", "Nothing."]),
        ("video-chatgpt/Consistency/1/1", ["<video>Who?", "Nothing."]),
        ("video-chatgpt/Consistency/1/2", ["<video>Which one?", "Nothing."]),
    ]
    assert rows["videos"][0] == [str(hub / "media/video_chatgpt/Test_Videos/v_1.mp4")]
    assert len(load("video-chatgpt#2")) == 2


def test_captions_of_a_copy_without_a_readme(hub):
    (row,) = load("coco-en-mini")
    assert said(row) == ["<image>Describe the picture in one sentence.", "a dog"]


def test_numbers_and_texts_as_ids_in_one_training(hub, tmp_path, night):
    (tmp_path / "own.jsonl").write_text(
        json.dumps({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}], "sample_id": "139"})
    )
    rows = load("coco-detect:val", "latex-ocr-small:train", str(tmp_path / "own.jsonl"), str(night / "night.jsonl"))
    assert rows["sample_id"][:3] == [139, "latex-ocr-small/train/1", "139"]
    assert all(isinstance(each, int) for each in rows["sample_id"][3:])


def test_streamed(hub):
    rows = list(load("coco-detect:val", streaming=True))
    assert [row["sample_id"] for row in rows] == ["139"]
    assert rows[0]["objects"]["bbox"] == [[0, 0, 10, 10]]
    assert rows[0]["images"][0]["bytes"] == VAL[0]["image"]["bytes"]


def test_problems_are_counted_and_logged(hub, logged):
    bad = [
        coco_row(1, (2, [30, 20, 10, 40])),
        coco_row(2, (0, [1, 2, 40, 30]), width=63),
        coco_row(3, image={"bytes": b"no picture", "path": None}),
        coco_row(4, (0, [-5, 0, 10, 10]), (0, [100, 100, 110, 110])),
        coco_row(5, (0, [1, 2, 40, 30]), size_wh=(48, 64), image={"bytes": png((48, 64), orientation=6), "path": None}),
    ]
    write_coco(hub, "detection-datasets/coco", bad, VAL)
    rows = load("coco-detect")
    assert rows["sample_id"][:] == [4]
    assert rows[0]["objects"]["bbox"] == [[0, 0, 10, 10]]
    lines = [line for record in logged if (line := record.getMessage()).startswith("coco-detect: ")]
    counts = {name.rstrip(":"): int(count) for _, count, name, *_ in map(str.split, lines)}
    expected = {"box-inverted": 1, "image-size-differs": 2, "image-unreadable": 1, "box-outside": 1, "box-clipped": 1}
    assert {name: counts.get(name) for name in expected} == expected
    assert any("(coco-detect/train/1, object 0)" in line for line in lines)


FAILING = {
    "a split that is not there": ("coco-detect:nowhere", r"coco-detect \(.*coco, default, nowhere\): ValueError: Unknown split"),
    "a subset that is not there": ("latex-ocr-human", r"latex-ocr-human \(.*, human_handwrite, train\): ValueError: BuilderConfig"),
    "only on the other hub": ("hf::coco-en", r"coco-en: not on Hugging Face; expected ms::coco-en \(modelscope/coco_2014_caption\)"),
}


@pytest.mark.parametrize(("name", "message"), FAILING.values(), ids=FAILING)
def test_what_cannot_be_had(hub, name, message):
    shutil.rmtree(hub / "modelscope")
    with pytest.raises(GroundswiftError, match=message):
        load(name)


def test_nothing_is_left(hub):
    write_coco(hub, "detection-datasets/coco", [coco_row(1, (2, [30, 20, 10, 40]))], VAL)
    with pytest.raises(GroundswiftError, match=r"coco-detect: every row was dropped\n +1  box-inverted"):
        load("coco-detect")


def test_a_hub_that_cannot_be_reached(plugin, monkeypatch):
    monkeypatch.delenv("GROUNDSWIFT_HUB", raising=False)
    with pytest.raises(GroundswiftError, match=r"coco-detect \(detection-datasets/coco, default, train\): .*GROUNDSWIFT_HUB"):
        load("hf::coco-detect")


def test_names_of_the_table(plugin):
    names = [each.name for each in HUB_SETS]
    assert len(names) == len(set(names))
    known = {"latex-ocr-print", "coco-en-mini", "refcoco-unofficial-grounding", "refcocog-unofficial-caption", "video-chatgpt"}
    assert (
        known | {"coco-detect", "refcocoplus-find", "refcocog-describe"}
        <= set(names)
        <= {key for key in DATASET_MAPPING if isinstance(key, str)}
    )
    for each in HUB_SETS:
        assert not set("/#:") & set(each.name)
        assert each.kind in KINDS
        assert each.ms or each.hf


def test_swifts_own_names_stay(plugin):
    meta = DatasetSyntax.parse("AI-ModelScope/coco").get_dataset_meta(use_hf=False)
    assert type(meta.preprocess_func).__name__ == "CocoPreprocessor"


def test_training_on_a_name(hub, models, plugin, tmp_path):
    """`swift sft --dataset coco-detect#4 latex-ocr-small:train`, as a process of its own."""
    names = {"dataset": ["coco-detect#4", "latex-ocr-small:train"], "strict": True, "save_strategy": "no", "max_steps": 2}
    sft_process(plugin, "", tmp_path / "out", model=models["qwen2_vl"], **names)
    assert sum("loss" in line for line in read_rows(tmp_path / "out/logging.jsonl")) == 2


@pytest.mark.long
def test_two_processes_infer_on_a_name_and_the_ids_are_in_the_results(hub, models, plugin, tmp_path):
    """Both read the file that one of them wrote; what comes out can be joined with COCO's own annotation file."""
    words = options(model=models["qwen2_vl"], custom_register_path=plugin, val_dataset="coco-detect", result_path=tmp_path / "out.jsonl")
    words += options(torch_dtype="float32", max_new_tokens=8, temperature=0)
    swift_process("infer", *TEMPLATE, *words, cwd=tmp_path, processes=2)
    results = read_rows(tmp_path / "out.jsonl")
    assert [row["sample_id"] for row in results] == [row["image_id"] for row in TRAIN]
    assert [row["size_wh"] for row in results] == [[64, 48]] * len(TRAIN)
