"""The record of a run through swift's own commands: where it is left, what is told where limits differ, and that evaluation reads it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rows import detection, trained_text

from groundswift import families
from groundswift.cli import main
from groundswift.errors import GroundswiftError
from groundswift.image_resize import Limits
from groundswift.run_record import RunRecord, read_record, write_record

TRAINED = Limits(4 * 784, 30 * 784, 20_000)
COMMON = ["--torch_dtype", "float32", "--attn_impl", "sdpa"]
ONE_STEP = ["--max_steps", "1", "--check_model", "false", "--fp16", "false", "--report_to", "none", "--add_version", "false"]
GREEDY = ["--temperature", "0", "--max_new_tokens", "4", "--max_batch_size", "4"]


@pytest.fixture
def tokens(monkeypatch):
    """Set how many tokens an image may have, as the environment of a new process does, with what swift leaves in the environment."""
    from qwen_vl_utils import vision_process

    names = ("MAX_PIXELS", "IMAGE_MAX_TOKEN_NUM")
    before = {name: os.environ.get(name) for name in names}

    def limit(most: int) -> None:
        os.environ.update(MAX_PIXELS=str(most * 784 + 1), IMAGE_MAX_TOKEN_NUM=str(most))
        monkeypatch.setattr(vision_process, "IMAGE_MAX_TOKEN_NUM", most)

    monkeypatch.setattr(vision_process, "IMAGE_MIN_TOKEN_NUM", 4)
    limit(30)
    yield limit
    for name in names:  # by hand: where swift runs, os.environ is another object afterwards
        os.environ.pop(name, None)
        os.environ.update({name: before[name]} if before[name] is not None else {})


@pytest.fixture
def told(warned):
    """What swift warns of, with what it has once said said again."""
    from groundswift.swift_plugins.grounding.patches import run_record

    run_record.WARNED.clear()
    return warned


def train(model: Path, plugin: Path, night: Path, out: Path, *words: str, template: str = "qwen2_5_vl_grounding") -> Path:
    from swift import sft_main

    sft_main(
        ["--model", str(model), "--model_type", "qwen2_5_vl", "--template", template, *COMMON, *ONE_STEP]
        + ["--custom_register_path", str(plugin), "--dataset", f"{night / 'night.jsonl'}#2", "--output_dir", str(out), *words]
    )
    return out / "checkpoint-1"


def infer(night: Path, out: Path, *words: str) -> Path:
    from swift import infer_main

    infer_main([*words, *GREEDY, "--val_dataset", f"{night / 'night.jsonl'}#4", "--result_path", str(out)])
    return out


@pytest.fixture(scope="module")
def trained(plugin, models, night, tmp_path_factory) -> Path:
    """The checkpoint of one LoRA step with limits of its own, and an evaluation."""
    with pytest.MonkeyPatch.context() as patch:
        from qwen_vl_utils import vision_process

        patch.setattr(vision_process, "IMAGE_MIN_TOKEN_NUM", 4)
        patch.setattr(vision_process, "IMAGE_MAX_TOKEN_NUM", 30)
        words = ["--tuner_type", "lora", "--max_pixels", "20000", "--val_dataset", f"{night / 'night.jsonl'}#2", "--eval_steps", "1"]
        words += ["--predict_with_generate", "true", "--eval_metric", "coco_map", "--save_steps", "1"]
        return train(models["qwen2_5_vl"], plugin, night, tmp_path_factory.mktemp("lora"), *words)


def test_training_leaves_its_record_in_folder_and_checkpoint(trained):
    for folder in (trained.parent, trained):
        record = read_record(folder / "groundswift_run.json")
        assert (record.family, record.template) == ("qwen2_5_vl", "qwen2_5_vl_grounding")
        assert (record.grammar, record.space, record.limits) == ("json_bbox_2d", "resized_px", TRAINED)
        assert {"groundswift", "ms-swift", "transformers", "torch", "qwen-vl-utils"} == set(record.versions)


def score(result: Path, night: Path, out: Path, *words: str) -> dict:
    done = CliRunner().invoke(main, ["eval", "coco-map", str(result), "--gt", str(night / "annotations.json"), "--out", str(out), *words])
    assert done.exit_code == 0, done.output
    return json.loads((out / "metrics.json").read_text())["protocol"]


def test_the_answers_of_training_are_scored_by_its_record(trained, night, tmp_path):
    protocol = score(trained / "predict.jsonl", night, tmp_path, "--no-report")
    assert (protocol["family"], protocol["limits_declared_by"]) == ("qwen2_5_vl", "run record")
    assert Limits(*(protocol[name] for name in Limits.__struct_fields__)) == TRAINED


def test_inference_with_the_limits_of_training_is_quiet_and_recorded(trained, night, tokens, told, tmp_path):
    shutil.rmtree(f"{trained}-merged", ignore_errors=True)
    result = infer(night, tmp_path / "new" / "result.jsonl", "--adapters", str(trained), "--merge_lora", "true", "--max_pixels", "20000")
    assert not [text for text in told if "pixel limits differ" in text]
    assert read_record(f"{result}.run.json").limits == TRAINED
    assert read_record(f"{trained}-merged/groundswift_run.json") == read_record(trained / "groundswift_run.json")
    assert score(result, night, tmp_path / "scored", "--no-report")["space_declared_by"] == "run record"
    again = infer(night, result, "--model", f"{trained}-merged", "--max_pixels", "20000", "--template", "qwen2_5_vl_grounding", *COMMON)
    assert len(again.read_text().splitlines()) == 8
    assert not [text for text in told if "pixel limits differ" in text]


@pytest.mark.parametrize("merged", [False, True], ids=["adapter", "merged model"])
def test_other_limits_than_in_training_are_told(trained, night, tokens, told, tmp_path, merged):
    tokens(40)
    source = ["--adapters", str(trained)]
    if merged:
        from swift import export_main

        export_main(["--adapters", str(trained), "--merge_lora", "true", "--output_dir", str(tmp_path / "merged"), "--max_pixels", "20000"])
        assert [text for text in told if "max_pixels 23520 px in training, 31360 px now" in text]
        told.clear()
        source = ["--model", str(tmp_path / "merged"), "--max_pixels", "9000"]
    result = infer(night, tmp_path / "result.jsonl", *source)
    (text,) = [text for text in told if "pixel limits differ" in text]
    assert text.startswith(f"{tmp_path / 'merged' if merged else trained}/groundswift_run.json: pixel limits differ")
    assert "max_pixels 23520 px in training, 31360 px now" in text
    assert f"first_max_pixels 20000 px in training, {'9000 px' if merged else 'none'} now" in text
    assert "so boxes are shifted" in text
    assert "To use those of the training: export MAX_PIXELS=23520 and add --max_pixels 20000" in text
    assert read_record(f"{result}.run.json").limits == Limits(3136, 31360, 9000 if merged else None)


def test_a_result_is_not_mixed_with_rows_of_other_limits(trained, night, tokens, told, tmp_path):
    result = infer(night, tmp_path / "result.jsonl", "--adapters", str(trained), "--max_pixels", "20000")
    rows, record = result.read_bytes(), read_record(f"{result}.run.json")
    tokens(40)
    with pytest.raises(GroundswiftError) as caught:
        infer(night, result, "--adapters", str(trained), "--max_pixels", "20000")
    assert "already holds rows of a different run" in str(caught.value)
    assert "max_pixels 23520 px, now 31360 px" in str(caught.value)
    assert (result.read_bytes(), read_record(f"{result}.run.json")) == (rows, record)
    Path(f"{result}.run.json").unlink()
    infer(night, result, "--adapters", str(trained), "--max_pixels", "20000")
    assert [text for text in told if "already holds rows of a run without a record" in text]
    assert not Path(f"{result}.run.json").exists()
    result.unlink()
    infer(night, result, "--adapters", str(trained), "--max_pixels", "20000")
    assert read_record(f"{result}.run.json").limits == Limits(3136, 31360, 20_000)


def test_training_on_from_a_model_is_told_and_leaves_its_own_record(plugin, models, night, tokens, told, tmp_path):
    """A full checkpoint, which swift fills with the files of the model that it began from: the record of that one is not taken over."""
    base = tmp_path / "base"
    shutil.copytree(models["qwen2_5_vl"], base)
    before = RunRecord(
        family="qwen2_5_vl",
        template="qwen2_5_vl_grounding",
        grammar="json_bbox_2d",
        space="resized_px",
        limits=TRAINED,
        versions={},
    )
    write_record(base / "groundswift_run.json", before)
    checkpoint = train(base, plugin, night, tmp_path / "out", "--tuner_type", "full", "--split_dataset_ratio", "0")
    (text,) = [text for text in told if "pixel limits differ" in text]
    assert "first_max_pixels 20000 px in training, none now" in text
    assert text.endswith("add --max_pixels 20000")
    assert read_record(checkpoint / "groundswift_run.json").limits == Limits(3136, 23520)
    assert (checkpoint / "tokenizer.json").is_file()


def test_templates_of_swift_leave_no_record(plugin, models, night, tokens, told, tmp_path):
    """What they write is not always what the family speaks, so nothing is declared for them."""
    words = ["--tuner_type", "lora", "--split_dataset_ratio", "0"]
    checkpoint = train(models["qwen2_5_vl"], plugin, night, tmp_path, *words, template="qwen2_5_vl")
    assert not list(tmp_path.rglob("groundswift_run.json"))
    assert (checkpoint / "args.json").is_file()


# what is said


def record(family: str, limits: Limits, space: str | None = None) -> RunRecord:
    row = families()[family]
    return RunRecord(
        family=family, template=f"{family}_grounding", grammar=row.grammar, space=space or row.space, limits=limits, versions={}
    )


@pytest.mark.parametrize(
    ("trained", "now", "environment", "said"),
    [
        pytest.param(record("qwen2_vl", Limits(9)), record("qwen2_vl", Limits(9)), {}, None, id="nothing differs"),
        pytest.param(
            record("qwen2_vl", Limits(max_pixels=78_400)),
            record("qwen2_vl", Limits()),
            {},
            "max_pixels 78400 px in training, 12845056 px now. the model sees another resolution than in training; boxes keep their "
            "meaning. To use those of the training: export MAX_PIXELS=78400",
            id="a family whose boxes stay",
        ),
        pytest.param(
            record("qwen2_5_vl", Limits(max_pixels=78_400)),
            record("qwen2_5_vl", Limits(7840)),
            {"IMAGE_MAX_TOKEN_NUM": "16384"},
            "export MIN_PIXELS=3136 and export IMAGE_MAX_TOKEN_NUM=100",
            id="tokens count before pixels",
        ),
        pytest.param(
            record("internvl", Limits()),
            record("internvl", Limits(None, None, 9)),
            {},
            "To use those of the training: remove --max_pixels",
            id="none",
        ),
        pytest.param(
            record("qwen2_5_vl", Limits()),
            record("qwen3_vl", Limits()),
            {},
            "trained as family qwen2_5_vl, but this run uses qwen3_vl. Use --template qwen2_5_vl_grounding",
            id="another family",
        ),
    ],
)
def test_what_is_said_of_a_difference(plugin, monkeypatch, trained, now, environment, said):
    from groundswift.swift_plugins.grounding.patches.run_record import difference

    for name in ("MIN_PIXELS", "MAX_PIXELS", "IMAGE_MIN_TOKEN_NUM", "IMAGE_MAX_TOKEN_NUM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    text = difference(trained, now)
    assert text is None if said is None else said in text


def test_a_record_that_cannot_be_read_is_told(plugin, told, tmp_path):
    from groundswift.swift_plugins.grounding.patches.run_record import warn_difference

    (tmp_path / "groundswift_run.json").write_text("{")
    warn_difference(tmp_path / "groundswift_run.json", record("qwen2_vl", Limits()))
    assert "pixel limits of the training unknown" in told[0]


# the metric of training


@pytest.mark.parametrize("first", [None, 9_000, 30_011])
def test_the_metric_of_training_places_by_all_limits(zoo, tokens, tmp_path, first):
    """Perfect answers, as the template teaches them, have AP 1 with `--max_pixels` too; they had not with another."""
    from swift.utils import Serializer

    from groundswift.swift_plugins.grounding.metrics.coco_map_metric import CocoMapMetric

    template = zoo.make_template("qwen2_5_vl", max_pixels=first)
    rows, texts = [], []
    for number, size_wh in enumerate([(640, 480), (301, 733)]):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", size_wh).save(path)
        box = [0.1 * size_wh[0], 0.2 * size_wh[1], 0.8 * size_wh[0], 0.9 * size_wh[1]]
        row = detection(path, ["cat"], [box])
        texts.append(trained_text(template, template.encode(row)))
        rows.append({**detection(path, ["cat"], [box]), "size_wh": list(size_wh)})
    packed = [Serializer.to_tensor(text).numpy() for text in texts]
    predictions = np.zeros((len(packed), max(map(len, packed))), dtype=np.uint8)
    for place, text in zip(predictions, packed, strict=True):
        place[: len(text)] = text
    args = SimpleNamespace(predict_with_generate=True, metric_for_best_model=None, callbacks=[])
    metric = CocoMapMetric(args, SimpleNamespace(template=template, eval_dataset=rows))
    assert metric.compute_metrics(SimpleNamespace(predictions=predictions))["AP"] == pytest.approx(1)
    other = zoo.make_template("qwen2_5_vl", max_pixels=4_000)
    metric = CocoMapMetric(args, SimpleNamespace(template=other, eval_dataset=rows))
    assert metric.compute_metrics(SimpleNamespace(predictions=predictions))["AP"] < 0.2


def test_the_metric_does_not_score_a_row_that_limits_its_own_image(plugin):
    from groundswift.swift_plugins.grounding.metrics.validation_rows import TEXT, sample_of

    row = {"size_wh": [9, 9], "chat_template_kwargs": {"max_pixels": 784}}
    assert sample_of(3, row) == (TEXT, (9, 9), [], [])
    with pytest.raises(GroundswiftError, match="validation row 3: chat_template_kwargs limit its image"):
        sample_of(3, row, resized=True)
