"""The record of a run through swift's own commands: where it is, what is reported where limits differ, and that evaluation reads it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rows import detection, trained_text
from tiny_run import export, infer, limit_tokens, scored, sft

from groundswift import families
from groundswift.errors import GroundswiftError
from groundswift.image_resize import Limits
from groundswift.run_record import RunRecord, read_record, write_record
from groundswift.swift_plugins.grounding.metrics.coco_map_metric import CocoMapMetric
from groundswift.swift_plugins.grounding.metrics.validation_rows import TEXT, sample_of
from groundswift.swift_plugins.grounding.patches import run_record
from groundswift.swift_plugins.grounding.patches.run_record import difference, warn_difference

TRAINED = Limits(4 * 784, 30 * 784, 20_000)


@pytest.fixture
def tokens(monkeypatch):
    """Set how many tokens an image may have, as the environment of a new process does, with what swift leaves in the environment."""
    names = ("MAX_PIXELS", "IMAGE_MAX_TOKEN_NUM")
    before = {name: os.environ.get(name) for name in names}

    def limit(most: int) -> None:
        os.environ.update(MAX_PIXELS=str(most * 784 + 1), IMAGE_MAX_TOKEN_NUM=str(most))
        limit_tokens(monkeypatch, 4, most)

    limit(30)
    yield limit
    for name in names:  # by hand: where swift runs, os.environ is another object afterwards
        os.environ.pop(name, None)
        os.environ.update({name: before[name]} if before[name] is not None else {})


@pytest.fixture
def reported(warned):
    """What swift warns of, with what it has once said said again."""
    run_record.WARNED.clear()
    return warned


def train(model: Path, plugin: Path, night: Path, out: Path, template: str = "qwen2_5_vl_grounding", **more: object) -> Path:
    """One step of a model of Qwen2.5-VL -> the checkpoint."""
    sft(plugin, f"{night / 'night.jsonl'}#2", out, model=model, model_type="qwen2_5_vl", template=template, **more)
    return out / "checkpoint-1"


def answer(night: Path, out: Path, **more: object) -> Path:
    infer(None, f"{night / 'night.jsonl'}#4", out, max_new_tokens=4, max_batch_size=4, **more)
    return out


@pytest.fixture(scope="module")
def trained(plugin, models, night, tmp_path_factory) -> Path:
    """The checkpoint of one LoRA step with limits of its own, and an evaluation."""
    with pytest.MonkeyPatch.context() as patch:
        limit_tokens(patch, 4, 30)
        metric = {"predict_with_generate": True, "eval_metric": "coco_map", "eval_steps": 1, "val_dataset": f"{night / 'night.jsonl'}#2"}
        return train(models["qwen2_5_vl"], plugin, night, tmp_path_factory.mktemp("lora"), max_pixels=20_000, save_steps=1, **metric)


def test_training_leaves_its_record_in_folder_and_checkpoint(trained):
    for folder in (trained.parent, trained):
        record = read_record(folder / "groundswift_run.json")
        assert (record.family, record.template) == ("qwen2_5_vl", "qwen2_5_vl_grounding")
        assert (record.grammar, record.space, record.limits) == ("json_bbox_2d", "resized_px", TRAINED)
        assert {"groundswift", "ms-swift", "transformers", "torch", "qwen-vl-utils"} == set(record.versions)


def test_the_answers_of_training_are_scored_by_its_record(trained, night, tmp_path):
    protocol = scored(trained / "predict.jsonl", night / "annotations.json", tmp_path, "--no-report")["protocol"]
    assert (protocol["family"], protocol["limits_declared_by"]) == ("qwen2_5_vl", "run record")
    assert Limits(*(protocol[name] for name in Limits.__struct_fields__)) == TRAINED


def test_inference_with_the_limits_of_training_is_quiet_and_recorded(trained, night, tokens, reported, tmp_path):
    shutil.rmtree(f"{trained}-merged", ignore_errors=True)
    result = answer(night, tmp_path / "new" / "result.jsonl", adapters=trained, merge_lora=True, max_pixels=20_000)
    assert not [text for text in reported if "pixel limits differ" in text]
    assert read_record(f"{result}.run.json").limits == TRAINED
    assert read_record(f"{trained}-merged/groundswift_run.json") == read_record(trained / "groundswift_run.json")
    protocol = scored(result, night / "annotations.json", tmp_path / "scored", "--no-report")["protocol"]
    assert protocol["space_declared_by"] == "run record"
    in_32_bits = {"torch_dtype": "float32", "attn_impl": "sdpa"}
    again = answer(night, result, model=f"{trained}-merged", max_pixels=20_000, template="qwen2_5_vl_grounding", **in_32_bits)
    assert len(again.read_text().splitlines()) == 8
    assert not [text for text in reported if "pixel limits differ" in text]


@pytest.mark.parametrize("merged", [False, True], ids=["adapter", "merged model"])
def test_other_limits_than_in_training_are_reported(trained, night, tokens, reported, tmp_path, merged):
    tokens(40)
    source = {"adapters": trained}
    if merged:
        export(tmp_path / "merged", adapters=trained, merge_lora=True, max_pixels=20_000)
        assert [text for text in reported if "max_pixels 23520 px in training, 31360 px now" in text]
        reported.clear()
        source = {"model": tmp_path / "merged", "max_pixels": 9_000}
    result = answer(night, tmp_path / "result.jsonl", **source)
    (text,) = [text for text in reported if "pixel limits differ" in text]
    assert text.startswith(f"{tmp_path / 'merged' if merged else trained}/groundswift_run.json: pixel limits differ")
    assert "max_pixels 23520 px in training, 31360 px now" in text
    assert f"first_max_pixels 20000 px in training, {'9000 px' if merged else 'none'} now" in text
    assert "so boxes are shifted" in text
    assert "To use those of the training: export MAX_PIXELS=23520 and add --max_pixels 20000" in text
    assert read_record(f"{result}.run.json").limits == Limits(3136, 31360, 9000 if merged else None)


def test_a_result_is_not_mixed_with_rows_of_other_limits(trained, night, tokens, reported, tmp_path):
    source = {"adapters": trained, "max_pixels": 20_000}
    result = answer(night, tmp_path / "result.jsonl", **source)
    rows, record = result.read_bytes(), read_record(f"{result}.run.json")
    tokens(40)
    with pytest.raises(GroundswiftError) as caught:
        answer(night, result, **source)
    assert "already holds rows of a different run" in str(caught.value)
    assert "max_pixels 23520 px, now 31360 px" in str(caught.value)
    assert (result.read_bytes(), read_record(f"{result}.run.json")) == (rows, record)
    Path(f"{result}.run.json").unlink()
    answer(night, result, **source)
    assert [text for text in reported if "already holds rows of a run without a record" in text]
    assert not Path(f"{result}.run.json").exists()
    result.unlink()
    answer(night, result, **source)
    assert read_record(f"{result}.run.json").limits == Limits(3136, 31360, 20_000)


def test_training_on_from_a_model_is_reported_and_leaves_its_own_record(plugin, models, night, tokens, reported, tmp_path):
    """A full checkpoint, which swift fills with the files of the model that it began from: the record of that one is not taken over."""
    base = tmp_path / "base"
    shutil.copytree(models["qwen2_5_vl"], base)
    write_record(base / "groundswift_run.json", record("qwen2_5_vl", TRAINED))
    checkpoint = train(base, plugin, night, tmp_path / "out", tuner_type="full")
    (text,) = [text for text in reported if "pixel limits differ" in text]
    assert "first_max_pixels 20000 px in training, none now" in text
    assert text.endswith("add --max_pixels 20000")
    assert read_record(checkpoint / "groundswift_run.json").limits == Limits(3136, 23520)
    assert (checkpoint / "tokenizer.json").is_file()


def test_templates_of_swift_leave_no_record(plugin, models, night, tokens, reported, tmp_path):
    """What they write is not always what the family speaks, so nothing is declared for them."""
    checkpoint = train(models["qwen2_5_vl"], plugin, night, tmp_path, template="qwen2_5_vl")
    assert not list(tmp_path.rglob("groundswift_run.json"))
    assert (checkpoint / "args.json").is_file()


# what is said


def record(family: str, limits: Limits) -> RunRecord:
    row = families()[family]
    return RunRecord(family=family, template=f"{family}_grounding", grammar=row.grammar, space=row.space, limits=limits, versions={})


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
    for name in ("MIN_PIXELS", "MAX_PIXELS", "IMAGE_MIN_TOKEN_NUM", "IMAGE_MAX_TOKEN_NUM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    text = difference(trained, now)
    assert text is None if said is None else said in text


def test_a_record_that_cannot_be_read_is_reported(plugin, reported, tmp_path):
    (tmp_path / "groundswift_run.json").write_text("{")
    warn_difference(tmp_path / "groundswift_run.json", record("qwen2_vl", Limits()))
    assert "pixel limits of the training unknown" in reported[0]


# the metric of training


@pytest.mark.parametrize("first", [None, 9_000, 30_011])
def test_the_metric_of_training_places_by_all_limits(zoo, tokens, tmp_path, first):
    """Perfect answers, as the template teaches them, have AP 1 with `--max_pixels` too; they had not with another."""
    from swift.utils import Serializer

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
    args = SimpleNamespace(predict_with_generate=True, metric_for_best_model=None, callbacks=[], output_dir=str(tmp_path))
    state = SimpleNamespace(global_step=0)
    metric = CocoMapMetric(args, SimpleNamespace(template=template, eval_dataset=rows, state=state))
    assert metric.compute_metrics(SimpleNamespace(predictions=predictions))["AP"] == pytest.approx(1)
    other = zoo.make_template("qwen2_5_vl", max_pixels=4_000)
    metric = CocoMapMetric(args, SimpleNamespace(template=other, eval_dataset=rows, state=state))
    assert metric.compute_metrics(SimpleNamespace(predictions=predictions))["AP"] < 0.2


def test_the_metric_does_not_score_a_row_that_limits_its_own_image(plugin):
    row = {"size_wh": [9, 9], "chat_template_kwargs": {"max_pixels": 784}}
    assert sample_of(3, row)[:4] == (TEXT, (9, 9), [], [])
    with pytest.raises(GroundswiftError, match="validation row 3: chat_template_kwargs limit its image"):
        sample_of(3, row, resized=True)


@pytest.mark.parametrize(
    ("options", "decoder"),
    [
        ({}, "transformers"),
        ({"num_beams": 4}, "transformers, beam search of 4"),
        ({"infer_backend": "sglang", "sglang_speculative_algorithm": "EAGLE"}, "sglang, speculative decoding"),
        ({"infer_backend": "vllm", "vllm_speculative_config": {"method": "ngram"}}, "vllm, speculative decoding"),
        ({"model_type": "diffusion_gemma"}, "transformers, diffusion"),
    ],
)
def test_the_record_of_a_result_names_the_decoder(options, decoder):
    args = SimpleNamespace(**{"infer_backend": "transformers", "num_beams": 1, "model_type": "qwen2_vl", **options})
    assert run_record.decoder_of(args) == decoder


def test_answers_of_two_decoders_do_not_share_a_file():
    one, two = (
        RunRecord(family="qwen2_vl", template="t", grammar="g", space="norm1000", limits=Limits(), versions={}, decoder=decoder)
        for decoder in ("transformers", "vllm")
    )
    assert run_record.differing_terms(one, two) == ["decoder transformers, now vllm"]
    assert run_record.differing_terms(one, one) == []
