"""`groundswift families --check`: the templates that fit a model folder, by its small files."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from groundswift import families
from groundswift.cli import main
from groundswift.model_check import check_model, only_model_type
from groundswift.swift_models import swift_models


def folder_of(folder, name="config.json", **settings):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(settings), encoding="utf-8")
    return folder


def called(*words):
    return CliRunner().invoke(main, ["families", "--check", *map(str, words)])


def templates(found):
    return [each["template"] for each in found["fits"]]


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("Qwen3VLForConditionalGeneration", ["qwen3_vl_grounding"]),
        ("Qwen2_5_VLForConditionalGeneration", ["qwen2_5_vl_grounding", "mimo_vl_grounding"]),
        ("Qwen3_5ForConditionalGeneration", ["qwen3_5_grounding", "qwen3_8_grounding"]),
        ("Glm4vMoeForConditionalGeneration", ["glm4_5v_grounding"]),
        ("QWenLMHeadModel", ["qwen_vl_grounding"]),
        ("PaddleOCRVLForConditionalGeneration", ["paddle_ocr_grounding", "paddle_ocr_1_5_grounding"]),
        ("HunYuanVLForConditionalGeneration", ["hunyuan_ocr_grounding"]),
        ("DotsOCRForCausalLM", ["dots_ocr_grounding"]),
        ("Florence2ForConditionalGeneration", ["florence_grounding", "florence2_grounding"]),
        ("KeyeForConditionalGeneration", []),
    ],
)
def test_an_architecture_has_its_templates(tmp_path, architecture, expected):
    found = check_model(folder_of(tmp_path, architectures=[architecture], model_type="any"))
    assert templates(found) == expected
    for each in found["fits"]:
        row = families()[each["family"]]
        assert (each["space"], each["resize_factor"], each["max_pixels"] or 0) == (row.space, row.resize_factor, row.max_pixels)


def test_a_family_with_a_template_is_found_by_every_architecture_of_its_types():
    for row in families().values():
        for name in row.swift_model_types if row.swift_templates else ():
            model = swift_models()[name]
            assert model.boxes == "family"
            assert model.architectures or model.config, f"{name} cannot be found"


def test_a_type_without_an_architecture_is_found_by_its_config(tmp_path):
    assert templates(check_model(folder_of(tmp_path, model_type="deepseek_vl_v2"))) == ["deepseek_vl2_grounding"]
    assert templates(check_model(folder_of(tmp_path, model_type="qwen3_vl"))) == ["qwen3_vl_grounding"]


def test_a_checkpoint_says_what_it_was_trained_with(tmp_path):
    base = folder_of(tmp_path / "base", architectures=["Qwen2_5_VLForConditionalGeneration"])
    adapter = folder_of(tmp_path / "adapter", "args.json", model=str(base), model_type="qwen2_5_vl", template="mimo_vl_grounding")
    assert templates(check_model(adapter)) == ["mimo_vl_grounding"]
    other = folder_of(tmp_path / "other", "args.json", model=str(base), model_type="qwen2_vl", template="qvq")
    done = called(other)
    assert (done.exit_code, "No template of groundswift is made from qvq" in done.output) == (1, True)


def test_an_adapter_is_what_its_base_model_is(tmp_path):
    base = folder_of(tmp_path / "base", architectures=["Glm4vMoeForConditionalGeneration"])
    adapter = folder_of(tmp_path / "adapter", "adapter_config.json", base_model_name_or_path=str(base))
    done = called(adapter)
    assert (done.exit_code, f"adapter of {base}" in done.output, "glm4_5v_grounding" in done.output) == (0, True, True)
    for named, message in (
        (str(tmp_path / "gone"), "base model "),
        (None, "names no base_model"),
        ("a/b", "no downloaded model of this name"),
    ):
        done = called(folder_of(tmp_path / "adapter", "adapter_config.json", base_model_name_or_path=named))
        assert (done.exit_code, message in done.output, "adapter_config.json" in done.output) == (1, True, True)
    (adapter / "config.json").write_text((base / "config.json").read_text())  # as a merged folder has it
    assert check_model(adapter)["adapter_of"] is None


def test_a_hub_name_is_looked_up_in_the_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "ms"))
    done = called("Owner/Some-Model-2.5")
    assert (done.exit_code, "hf download Owner/Some-Model-2.5 --include '*.json'" in done.output) == (1, True)
    modelscope = tmp_path / "ms/models/Owner/Some-Model-2___5"
    modelscope.mkdir(parents=True)
    folder_of(modelscope, architectures=["DotsOCRForCausalLM"])
    assert templates(check_model(Path("Owner/Some-Model-2.5"))) == ["dots_ocr_grounding"]
    hugging_face = tmp_path / "hf/hub/models--Owner--Some-Model-2.5"
    (hugging_face / "refs").mkdir(parents=True)
    (hugging_face / "refs/main").write_text("abc")
    (hugging_face / "snapshots/abc").mkdir(parents=True)
    folder_of(hugging_face / "snapshots/abc", architectures=["QWenLMHeadModel"])
    assert templates(check_model(Path("Owner/Some-Model-2.5"))) == ["qwen_vl_grounding"]


def test_gguf_files_are_no_model_folder(tmp_path):
    (tmp_path / "model-Q4_K_M.gguf").write_bytes(b"GGUF")
    assert "has GGUF files and no config.json; expected the folder of the model that they were converted from" in called(tmp_path).output


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"architectures": ["Qwen2VLForConditionalGeneration"]}, "qwen2_vl"),  # not qwen2_gme, which has no template
        ({"architectures": ["PaddleOCRVLForConditionalGeneration"]}, None),
        ({"architectures": ["BertModel"]}, None),
        (None, None),
    ],
)
def test_one_model_type_is_taken_and_several_are_not(tmp_path, config, expected):
    if config:
        folder_of(tmp_path, **config)
    assert only_model_type(tmp_path) == expected


def test_what_no_template_is_for_is_named(tmp_path):
    done = called(folder_of(tmp_path, architectures=["MiniCPMV"]))
    assert (done.exit_code, "minicpmv4_5_grounding" in done.output, "minicpmv2_6: boxes unknown" in done.output) == (0, True, True)
    done = called(folder_of(tmp_path, architectures=["CogAgentForCausalLM"]))
    assert (done.exit_code, "cogagent_vqa: boxes known ([[x1,y1,x2,y2]]" in done.output) == (1, True)
    done = called(folder_of(tmp_path, architectures=["BertModel"]), "--json")
    assert (done.exit_code, json.loads(done.output)["fits"], json.loads(done.output)["other"]) == (1, [], [])
    assert "no template is known to fit" in called(tmp_path).output


def test_patches_that_contradict_the_family_are_a_warning(tmp_path):
    folder_of(tmp_path, architectures=["Qwen2_5_VLForConditionalGeneration"])
    folder_of(tmp_path, "preprocessor_config.json", patch_size=14, merge_size=2)
    assert check_model(tmp_path)["problems"] == []
    folder_of(tmp_path, "preprocessor_config.json", patch_size=16, merge_size=2)
    assert (
        "warning: qwen2_5_vl_grounding: the processor's patches make sides a multiple of 32 px, the family has 28 px"
        in called(tmp_path).output
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "has no config.json"), ("[1]", "is not a JSON object"), ("{", "cannot be read"), ("{}", "no template is known to fit")],
)
def test_a_folder_that_is_not_one_of_a_model_is_a_plain_error(tmp_path, text, message):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    done = called(tmp_path)
    assert (done.exit_code, message in done.output, "Traceback" in done.output) == (1, True, False)


def test_a_missing_folder_and_other_options_are_refused(tmp_path):
    assert "no such folder" in called(tmp_path / "nowhere").output
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")
    assert "is not a folder" in called(file).output
    assert "--check takes a model folder" in called(tmp_path, "--markdown").output
