"""Migrated commands, read by bash and by ms-swift 4.6's own argument classes; and one script of 2.x, migrated and run."""

from __future__ import annotations

import json
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest
from converted import run
from rows import read_rows
from swift import arguments
from swift.dataset.register import DATASET_MAPPING
from swift.model import MODEL_MAPPING
from swift.pipelines import infer_main, sft_main
from swift.template import TEMPLATE_MAPPING
from transformers import HfArgumentParser

from groundswift.data_converters.rows.migrate.commands import ROUTES, TODAYS
from groundswift.data_converters.rows.migrate.job import Settings
from groundswift.data_converters.rows.migrate.rules import EVERYWHERE, OF_COMMAND, rule_of
from groundswift.data_converters.rows.migrate.script import migrate_script
from groundswift.data_converters.rows.migrate.tables import SOURCE, datasets, flags_of, templates
from groundswift.data_converters.rows.migrate.tables import models as old_models

NAMES = {"pt": "Pretrain", "rlhf": "RLHF", "merge-lora": "Export", "app-ui": "App", "web-ui": "WebUI"}
CLASSES = {  # command of 2.x or 4.6 -> 4.6's arguments
    command: getattr(arguments, f"{NAMES.get(command, command.title())}Arguments")
    for command in ("sft", "pt", "rlhf", "infer", "export", "merge-lora", "deploy", "eval", "app", "app-ui", "web-ui")
}
COMMANDS = [command for command in CLASSES if command in ROUTES.values() and command != "merge-lora"]
STUBS = "swift() { printf '%s\\0' swift \"$@\" $'\\n'; }; groundswift() { echo /plugin.py; }\n"  # a call is words and a line break


@lru_cache
def parser(command: str) -> HfArgumentParser:
    """4.6's own parser of a command."""
    made = HfArgumentParser(CLASSES[command])
    made.error = lambda message: pytest.fail(f"swift {command}: {message}")
    return made


def has(command: str, flag: str) -> bool:
    """Whether a command of 4.6 has a flag."""
    return f"--{flag}" in parser(command)._option_string_actions


def parsed(script: str) -> list[tuple[str, dict]]:
    """(command, arguments) of the swift commands of a script, which bash reads. Fails where 4.6 would not take a word."""
    shown = subprocess.run(["bash", "-eu"], input=STUBS + script, capture_output=True, text=True, check=True).stdout
    calls = [call.split("\0")[:-1] for call in shown.split("\n\0") if call]
    found = []
    for _, command, *words in calls:
        given, rest = parser(command).parse_known_args(words)
        assert rest == [], f"swift {command} {' '.join(words)}"
        found.append((command, vars(given)))
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_2x_has_its_row(command):
    """Both directions: a flag that 4.6 lacks has a rule; what the rules write exists; what they take away does not."""
    for flag in flags_of(command):
        rule = rule_of(command, flag)
        if rule.kind in ("dropped", "todo"):
            assert not has(command, flag) or flag == "max_model_len", f"{flag} is there in 4.6"
        else:
            assert [new for new in rule.new.split() if not has(command, new)] == [], flag
    ruled = OF_COMMAND[command].keys()
    others = {flag for other in COMMANDS for flag in flags_of(other)}
    assert ruled | EVERYWHERE.keys() <= others
    assert SOURCE == "ms-swift 2.6.1"


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "web-ui"])
def test_marks_of_today_are_of_today(command):
    assert not TODAYS & flags_of(command).keys()
    assert all(any(has(each, flag) for each in COMMANDS) or flag == "train_type" for flag in TODAYS)


def test_names_of_the_tables_are_4_6s():
    known = {model.ms_model_id for meta in MODEL_MAPPING.values() for group in meta.model_groups for model in group.models}
    unknown = {name for name, model in old_models().items() if model.id not in known}
    assert unknown == {"glm-edge-v-5b"}
    assert {model.model_type for model in old_models().values()} <= MODEL_MAPPING.keys()
    assert {model.template for model in old_models().values()} <= TEMPLATE_MAPPING.keys()
    assert {each for new in templates().values() for each in new} <= TEMPLATE_MAPPING.keys()
    assert not old_models().keys() & MODEL_MAPPING.keys() - {"atom", "codegeex4"}


def test_datasets_of_the_table_are_4_6s():
    metas = {
        key: meta for meta in DATASET_MAPPING.values() for key in (meta.ms_dataset_id, meta.hf_dataset_id and f"hf::{meta.hf_dataset_id}")
    }
    for name, new in datasets().items():
        hub, mark, rest = new.partition("#")[0].rpartition("::")
        place, _, subsets = rest.partition(":")
        meta = metas.get(hub + mark + place)
        assert meta is not None, f"{name} -> {new}"
        names = [subset if isinstance(subset, str) else subset.name for subset in meta.subsets]
        assert subsets or len(names) == 1 or "default" in names, f"{name} needs one of {names}"


GPUS = "CUDA_VISIBLE_DEVICES=0,1,2,3 NPROC_PER_NODE=4"
QWEN = "--model_type qwen2-vl-7b-instruct --model_id_or_path qwen/Qwen2-VL-7B-Instruct"
SEED = f"""
CUDA_VISIBLE_DEVICES=0 swift infer --model_type qwen2-vl-7b-instruct
SIZE_FACTOR=8 MAX_PIXELS=602112 CUDA_VISIBLE_DEVICES=0 swift sft {QWEN} --sft_type lora --dataset latex-ocr-print#20000
{GPUS} swift sft \\
  --model_type qwen2-vl-7b-instruct \\
  --model_id_or_path qwen/Qwen2-VL-7B-Instruct \\
  --sft_type full \\
  --freeze_vit true \\
  --deepspeed default-zero2 \\
  --dataset latex-ocr-print#20000
SIZE_FACTOR=8 MAX_PIXELS=602112 CUDA_VISIBLE_DEVICES=0 swift sft --model_type qwen2-vl-7b-instruct-gptq-int4 \\
  --model_id_or_path qwen/Qwen2-VL-7B-Instruct-GPTQ-Int4 --sft_type lora --dataset latex-ocr-print#20000
{GPUS} swift sft {QWEN} --sft_type lora --dataset coco-en-mini#20000 --deepspeed default-zero2
CUDA_VISIBLE_DEVICES=0 swift infer --ckpt_dir output/qwen2-vl-7b-instruct/vx-xxx/checkpoint-xxx \\
  --load_dataset_config true --merge_lora true
{GPUS} swift sft {QWEN} --sft_type lora --dataset refcoco-unofficial-grounding#20000 --deepspeed default-zero3
NFRAMES=24 MAX_PIXELS=100352 {GPUS} swift sft {QWEN} --sft_type lora --dataset video-chatgpt --deepspeed default-zero2
"""


def test_the_best_practice_of_qwen2_vl_parses():
    calls = parsed(migrate_script(SEED).text)
    assert [command for command, _ in calls] == ["infer", "sft", "sft", "sft", "sft", "infer", "sft", "sft"]
    assert {found["model"] for command, found in calls if command == "sft"} == {
        "Qwen/Qwen2-VL-7B-Instruct",
        "Qwen/Qwen2-VL-7B-Instruct-GPTQ-Int4",
    }
    assert [found["dataset"] for command, found in calls if command == "sft"] == [
        *[["AI-ModelScope/LaTeX_OCR:default#20000"]] * 3,
        ["modelscope/coco_2014_caption:validation#20000"],
        ["refcoco-unofficial-grounding#20000"],
        ["swift/VideoChatGPT:Generic/Temporal/Consistency"],
    ]
    assert calls[2][1]["tuner_type"] == "full"
    assert [found["deepspeed"] for _, found in calls if found.get("deepspeed")] == ["zero2", "zero2", "zero3", "zero2"]
    assert (calls[5][1]["load_data_args"], calls[5][1]["merge_lora"]) == (True, True)
    assert (calls[6][1]["custom_register_path"], calls[6][1]["template"]) == (["/plugin.py"], "qwen2_vl_grounding")


SAID = {  # values that a flag of 2.x takes, where its default is none
    "dtype": "bf16", "lora_dtype": "bf16", "bnb_4bit_comp_dtype": "bf16", "quantization_bit": "4", "quant_method": "bnb",
    "model_type": "qwen2-vl-7b-instruct", "ref_model_type": "qwen-7b-chat", "reward_model_type": "qwen-7b-chat",
    "template_type": "qwen2-vl", "dataset": "coco-en-mini#10", "val_dataset": "alpaca-zh", "sft_type": "lora", "learning_rate": "1e-4",
    "deepspeed": "default-zero2", "device_max_memory": "20GB", "rlhf_type": "dpo", "tools_prompt": "react_zh", "neftune_backend": "swift",
    "check_dataset_strategy": "error", "eval_strategy": "no", "push_hub_strategy": "push_last", "fsdp": "offload", "reft_layers": "1 2",
    "infer_backend": "pt", "eval_backend": "Native", "eval_limit": "10", "truncation_strategy": "truncation_left", "quant_bits": "4",
    "acc_strategy": "sentence", "bnb_4bit_quant_type": "nf4", "rope_scaling": "linear", "tuner_backend": "peft", "target_modules": "ALL",
    "reft_intervention_type": "LoreftIntervention", "save_strategy": "steps", "evaluation_strategy": "epoch", "ddp_backend": "nccl",
    "lr_scheduler_type": "cosine", "optim": "adamw_torch", "hub_strategy": "end", "train_backend": "transformers", "lang": "zh",
    "loss_scale_config_path": "agent-flan", "max_length": "1024", "use_loss_scale": "true", "hqq_axis": "1", "commit_message": "update",
    **dict.fromkeys(
        ("ddp_find_unused_parameters", "ddp_broadcast_buffers", "gradient_checkpointing", "lazy_tokenize", "use_flash_attn", "do_sample",
         "add_output_dir_suffix", "include_num_input_tokens_seen", "safe_serialization", "only_save_model", "verbose", "eval_human",
         "merge_lora_and_save", "eval_is_chat_model"), "true"),
}  # fmt: skip


@pytest.mark.parametrize("keep_defaults", [True, False])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_parses_after_migration(command, keep_defaults):
    """One command of 2.x for each flag. `--ckpt_dir` makes sure that it is one of 2.x."""
    more = " --sft_type lora" if command in ("sft", "pt", "rlhf") else "" if command == "web-ui" else " --ckpt_dir a/checkpoint-1"
    lines = []
    for flag in flags_of(command).values():
        default = flag.default.replace("AUTO", "") or "7"
        value = SAID.get(flag.name) or {"bool": "true", "list": "v1 v2"}.get(flag.values, default)
        lines.append(f"swift {command} --{flag.name} {value}{more if flag.name not in ('sft_type', 'ckpt_dir') else ''}")
    calls = parsed(migrate_script("\n".join(lines), Settings(keep_defaults=keep_defaults)).text)
    assert len(calls) == len(lines)


def test_every_model_of_2x_can_be_named():
    names = list(old_models())
    calls = parsed(migrate_script("\n".join(f"swift sft --model_type {name} --dataset a.jsonl" for name in names)).text)
    assert [found["model"] for _, found in calls] == [old_models()[name].id for name in names]


def test_both_bounds_give_the_frames_of_nframes():
    """NFRAMES=24 was 24 frames of any video that has them: so say FPS_MIN_FRAMES and FPS_MAX_FRAMES, by the code that 4.6 calls."""
    from qwen_vl_utils import vision_process

    for total, rate in ((30, 30.0), (300, 25.0), (9000, 60.0)):
        assert vision_process.smart_nframes({"min_frames": 24, "max_frames": 24}, total, rate) == 24


@pytest.fixture
def project(tmp_path: Path, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a user of 2.x had it: rows with objects as text, images, a script."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (112, 112), "navy").save(tmp_path / "a.png")
    objects = json.dumps([{"caption": "square", "bbox": [10, 20, 60, 80], "bbox_type": "real", "image": 0}])
    row = {"query": "Find <ref-object>", "response": "<bbox>", "images": ["a.png"], "objects": objects}
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(row) + "\n" for _ in range(8)))
    (tmp_path / "train.sh").write_text(
        f"""MODEL={models["qwen2_vl"]}
swift sft --model_type qwen2-vl-7b-instruct --model_id_or_path $MODEL --sft_type lora --dtype fp32 \\
  --dataset old.jsonl#4 --custom_val_dataset_path old.jsonl --output_dir out --add_output_dir_suffix false --lora_target_modules DEFAULT \\
  --batch_size 2 --max_steps 1 --save_steps 1 --eval_steps 1 --check_model_is_latest false --gradient_checkpointing false
swift infer --ckpt_dir out/checkpoint-1 --load_dataset_config true --show_dataset_sample 2 --merge_lora true --do_sample false \\
  --max_new_tokens 4 --result_dir results
"""
    )
    return tmp_path


def test_a_script_of_2x_is_migrated_and_runs(project):
    done = run("migrate", "train.sh", "--in-place", "--rows", "rows")
    assert done.exit_code == 0, done.output
    script = (project / "train.sh").read_text()
    shown = subprocess.run(["bash", "-eu"], input=STUBS + script, capture_output=True, text=True, check=True).stdout
    (_, train, *sft), (_, infer, *asked) = (call.split("\0")[:-1] for call in shown.split("\n\0") if call)
    assert (train, infer) == ("sft", "infer")
    more = ["--fp16", "false", "--report_to", "none", "--dataloader_num_workers", "0", "--attn_impl", "eager"]
    sft_main([*sft, *more])
    assert (project / "out" / "checkpoint-1" / "args.json").is_file()
    infer_main(asked)
    rows = read_rows(project / "results" / "infer_result.jsonl")
    assert len(rows) == 2
    assert rows[0]["objects"]["bbox"] == [[10, 20, 60, 80]]
