"""Scripts of ms-swift 2.x -> 4.6, text to text: what changes, what stays, what is reported."""

from __future__ import annotations

import re
import subprocess

import pytest

from groundswift.data_converters.rows.migrate.data import todays
from groundswift.data_converters.rows.migrate.job import Settings
from groundswift.data_converters.rows.migrate.script import migrate_script
from groundswift.data_converters.rows.migrate.shell import Scan
from groundswift.data_converters.rows.migrate.tables import datasets, flags_of, models

BARE = Settings(keep_defaults=False)
QWEN = "Qwen/Qwen2-VL-7B-Instruct"


def bare(text: str) -> str:
    """The migrated script without defaults."""
    return migrate_script(text, BARE).text


FLAGS = {  # flags of `swift sft` -> today's
    "--sft_type adalora": "--tuner_type adalora",
    "--sft-type lora": "--tuner_type lora",
    "--sft_type=longlora": "--tuner_type=longlora",
    "--sft_type 'lora'": "--tuner_type 'lora'",
    "--model_type qwen2-vl-7b-instruct": f"--model {QWEN}",
    "--model_type qwen2-vl-7b-instruct --model_id_or_path qwen/Qwen2-VL-7B-Instruct": f"--model {QWEN}",
    "--model_id_or_path qwen/Qwen2-VL-7B-Instruct --sft_type full": f"--model {QWEN} --tuner_type full",
    "--model_type qwen2-vl-7b-instruct-gptq-int4": f"--model {QWEN}-GPTQ-Int4",
    "--model_type qwen2-vl-7b-instruct-awq": f"--model {QWEN}-AWQ",
    "--model_type llava1d6-mistral-7b-instruct": "--model llava-hf/llava-v1.6-mistral-7b-hf",
    "--model_type qwen2-vl-7b-instruct --model_id_or_path /data/m": "--model_type qwen2_vl --model /data/m --template qwen2_vl",
    "--model_type qwen2-vl-7b-instruct --model_cache_dir '/my m'": "--model_type qwen2_vl --model '/my m' --template qwen2_vl",
    "--template_type qwen2-vl --sft_type lora": "--template qwen2_vl --tuner_type lora",
    "--template_type qwen-vl-generation --sft_type lora": "--template qwen_vl --tuner_type lora --use_chat_template false",
    "--template_type llama3 --model_type llama3_2-1b-instruct": "--template llama3_2 --model LLM-Research/Llama-3.2-1B-Instruct",
    "--template_type llama3 --model_type llama3-8b-instruct": "--template llama3 --model LLM-Research/Meta-Llama-3-8B-Instruct",
    "--template_type chatml --sft_type lora": "--template chatml --tuner_type lora",
    "--dtype bf16 --bnb_4bit_comp_dtype bf16": "--torch_dtype bfloat16 --bnb_4bit_compute_dtype bfloat16",
    "--dtype fp16": "--torch_dtype float16",
    "--dtype AUTO --template_type AUTO --quantization_bit 0 --use_flash_attn false --max_length -1 --save_total_limit -1 --sft_type lora": (
        "--tuner_type lora"
    ),
    "--dataset latex-ocr-print#20000 coco-en-mini#20000": (
        "--dataset AI-ModelScope/LaTeX_OCR:default#20000 modelscope/coco_2014_caption:validation#20000"
    ),
    "--dataset video-chatgpt": "--dataset swift/VideoChatGPT:Generic/Temporal/Consistency",
    "--dataset coco-mini-en,alpaca-zh": "--dataset modelscope/coco_2014_caption:validation AI-ModelScope/alpaca-gpt4-data-zh",
    "--dataset hh-rlhf-cn-harmless-base-cn#7 ms-bench-mini": "--dataset AI-ModelScope/hh_rlhf_cn:harmless_base_cn#7 iic/ms_bench#20000",
    "--dataset sharegpt-zh#5": "--dataset swift/sharegpt:common-zh/computer-zh/unknow-zh#5",
    "--dataset my.jsonl --sft_type lora": "--dataset my.jsonl --tuner_type lora",
    "--custom_train_dataset_path a.jsonl b.jsonl": "--dataset a.jsonl b.jsonl",
    "--dataset alpaca-zh --custom_train_dataset_path a.jsonl": "--dataset AI-ModelScope/alpaca-gpt4-data-zh a.jsonl",
    "--dataset a.jsonl --train_dataset_sample 500": "--dataset a.jsonl#500",
    "--dataset a.jsonl --train_dataset_sample -1": "--dataset a.jsonl",
    "--dataset '$D' --custom_val_dataset_path v.jsonl --val_dataset_sample 9": "--dataset '$D' --val_dataset v.jsonl#9",
    "--self_cognition_sample 100 --dataset a.jsonl": "--dataset a.jsonl swift/self-cognition:default#100",
    "--deepspeed default-zero2": "--deepspeed zero2",
    "--deepspeed default-zero3 --deepspeed_config_path ds.json": "--deepspeed zero3 --deepspeed ds.json",
    "--deepspeed zero3-offload": "--deepspeed zero3_offload",
    "--lora_target_modules ALL": "--target_modules all-linear",
    "--lora_target_modules DEFAULT --model_type qwen2-vl-7b-instruct": f"--target_modules all-linear --model {QWEN}",
    "--lora_target_modules DEFAULT --model_type qwen-7b-chat": "--target_modules c_attn --model Qwen/Qwen-7B-Chat",
    "--lora_target_modules EMBEDDING ALL": "--target_modules all-embedding all-linear",
    "--lora_target_modules q_proj,v_proj": "--target_modules q_proj v_proj",
    "--lora_modules_to_save EMBEDDING LN --lora_lr_ratio 16": "--modules_to_save all-embedding all-norm --lorap_lr_ratio 16",
    "--lora_dropout_p 0.1 --init_lora_weights pissa": "--lora_dropout 0.1 --init_weights pissa",
    "--quantization_bit 4": "--quant_bits 4 --quant_method bnb",
    "--quantization_bit 4 --quant_method hqq": "--quant_bits 4 --quant_method hqq",
    "--batch_size 4 --eval_batch_size 2": "--per_device_train_batch_size 4 --per_device_eval_batch_size 2",
    "--use_flash_attn true": "--attn_impl flash_attn",
    "--use_flash_attn --sft_type lora": "--attn_impl flash_attn --tuner_type lora",
    "--additional_trainable_parameters transformer.visual lm_head": "--trainable_parameters transformer.visual lm_head",
    "--rescale_image 240000 --evaluation_strategy epoch": "--max_pixels 240000 --eval_strategy epoch",
    "--truncation_strategy truncation_left --dataset_test_ratio 0.1": "--truncation_strategy left --split_dataset_ratio 0.1",
    "--check_dataset_strategy error --add_output_dir_suffix false": "--strict true --add_version false",
    "--use_loss_scale true --loss_scale_config_path agent-flan": "--loss_scale agentflan",
    "--device_max_memory 20GB 10GB": '--max_memory \'{0: "20GB", 1: "10GB"}\'',
    "--warmup_steps 10 --warmup_ratio 0.05 --sft_type lora": "--warmup_steps 10 --tuner_type lora",
    "--freeze_vit true --sft_type full --lr_scheduler_type linear": "--freeze_vit true --tuner_type full --lr_scheduler_type linear",
    "--no_save_safetensors": "--safe_serialization false",
    "--template qwen2-vl": "--template qwen2-vl",  # today's flag, whose value 4.6 refuses by itself
    '--model_type qwen2_vl "$@"': '--model_type qwen2_vl "$@"',  # the rest may name a model
}
COMMANDS = {  # whole commands, or scripts
    "swift infer --ckpt_dir a --load_dataset_config true": "swift infer --adapters a --load_data_args true",
    "swift infer --ckpt_dir a/checkpoint-9 --show_dataset_sample 10 --merge_lora_and_save true --do_sample false": (
        "swift infer --adapters a/checkpoint-9 --val_dataset_sample 10 --merge_lora true --temperature 0"
    ),
    "swift infer --ckpt_dir a --result_dir out/ --tp 2 --stream": (
        "swift infer --adapters a --result_path out/infer_result.jsonl --lmdeploy_tp 2 --stream true"
    ),
    "swift infer --ckpt_dir a/checkpoint-9-merged --eval_human true": "swift infer --model a/checkpoint-9-merged",
    "swift infer --ckpt_dir a --infer_backend pt": "swift infer --adapters a --infer_backend transformers",
    "swift infer --ckpt_dir a --no_result_dir": "swift infer --adapters a",  # a flag without its value
    "swift infer --ckpt_dir a --max_model_len 4096": "swift infer --adapters a --vllm_max_model_len 4096",
    "swift deploy --model_type qwen2-vl-7b-instruct --lora_modules a=b": f"swift deploy --model {QWEN} --adapters a=b",
    "swift app-ui --ckpt_dir a --host 0.0.0.0 --server_port 1": "swift app --adapters a --server_name 0.0.0.0 --server_port 1",
    "swift app_ui --ckpt_dir a": "swift app --adapters a",
    "swift web-ui --host 0.0.0.0 --port 1 --lang en": "swift web-ui --server_name 0.0.0.0 --server_port 1 --lang en",
    "swift export --ckpt_dir a --quant_bits 4 --quant_output_dir q": "swift export --adapters a --quant_bits 4 --output_dir q",
    "swift eval --ckpt_dir a --eval_nproc 4": "swift eval --adapters a --eval_num_proc 4",
    "swift eval --ckpt_dir a --eval_batch_size 8": "swift eval --adapters a --extra_eval_args '{\"eval_batch_size\": 8}'",
    "swift dpo --model_type qwen-7b-chat": "swift rlhf --model Qwen/Qwen-7B-Chat --rlhf_type dpo",
    "swift rlhf --rlhf_type simpo --ref_model_type qwen-7b-chat": "swift rlhf --rlhf_type simpo --ref_model Qwen/Qwen-7B-Chat",
    "python -m swift.cli.app_ui --ckpt_dir a": "python -m swift.cli.app --adapters a",
    "python ../llm_sft.py --sft_type lora": "python -m swift.cli.sft --tuner_type lora",
    "SIZE_FACTOR=8 MAX_PIXELS=602112 swift sft --sft_type lora": "MAX_PIXELS=602112 swift sft --tuner_type lora",
    "NFRAMES=24 MAX_PIXELS=9 \\\n  swift sft --sft_type lora": (
        "FPS_MIN_FRAMES=24 FPS_MAX_FRAMES=24 MAX_PIXELS=9 VIDEO_MAX_PIXELS=9 \\\n  swift sft --tuner_type lora"
    ),
    "NFRAMES=2 swift sft --sft_type lora\nMAX_PIXELS=9 swift sft --sft_type lora": (
        "FPS_MIN_FRAMES=2 FPS_MAX_FRAMES=2 swift sft --tuner_type lora\nMAX_PIXELS=9 swift sft --tuner_type lora"
    ),
    "export MAX_PIXELS=9\nswift sft --dataset video-chatgpt#5": (
        "export MAX_PIXELS=9 VIDEO_MAX_PIXELS=9\nswift sft --dataset swift/VideoChatGPT:Generic/Temporal/Consistency#5"
    ),
    "export NFRAMES=2 MAX_PIXELS=9\nswift sft --sft_type lora": (
        "export FPS_MIN_FRAMES=2 FPS_MAX_FRAMES=2 MAX_PIXELS=9 VIDEO_MAX_PIXELS=9\nswift sft --tuner_type lora"
    ),
    "export MAX_FRAMES=8\nswift sft --sft_type lora": "export FPS_MAX_FRAMES=8\nswift sft --tuner_type lora",
    "swift sft --model X --train_type lora --metric acc": "swift sft --model X --tuner_type lora --eval_metric acc",
    "swift infer --model X --infer_backend pt": "swift infer --model X --infer_backend transformers",
    "swift infer --ckpt_dir X --load_args false": "swift infer --adapters X --load_args false",
    'ARGS=(\n  --sft_type lora  # tuner\n  --dtype AUTO  # type\n)\nswift sft "${ARGS[@]}"': (
        'ARGS=(\n  --tuner_type lora  # tuner  # type\n)\nswift sft "${ARGS[@]}"'
    ),
    "OPTS='--ckpt_dir a --tp 2'\nOPTS+=' --enforce_eager true'\nswift infer $OPTS\n": (
        "OPTS='--adapters a --lmdeploy_tp 2'\nOPTS+=' --vllm_enforce_eager true'\nswift infer $OPTS\n"
    ),
    "M=qwen2-vl-7b-instruct\nswift sft --model_type $M --logging_dir log/$M": (
        f"M=qwen2-vl-7b-instruct\nswift sft --model {QWEN} --logging_dir log/$M"
    ),
    "swift sft --sft_type full --model_type qwen-7b-chat\nswift infer --ckpt_dir out/checkpoint-1\n": (
        "swift sft --tuner_type full --model Qwen/Qwen-7B-Chat\nswift infer --model out/checkpoint-1\n"
    ),
    'A=(--sft_type lora --dtype bf16)\nswift sft ${A[@]} --batch_size 1\nswift pt "${A[@]}" --batch_size 2\n': (
        "A=(--tuner_type lora --torch_dtype bfloat16)\nswift sft ${A[@]} --per_device_train_batch_size 1\n"
        'swift pt "${A[@]}" --per_device_train_batch_size 2\n'
    ),
    "Z=default-zero2\nswift sft --deepspeed $Z": "Z=zero2\nswift sft --deepspeed $Z",
    "D=a.jsonl\nswift sft --dataset $D --train_dataset_sample 5": "D=a.jsonl\nswift sft --dataset $D#5",
}
IN_PLACE = [  # scripts in which only the words of REPLACED change
    "torchrun --nproc_per_node 4 swift/cli/sft.py --sft_type lora",
    "CUDA_VISIBLE_DEVICES=0 NPROC_PER_NODE=4 nohup swift sft --sft_type lora > log 2>&1 &",
    "cd x && /opt/bin/swift sft --sft_type lora || exit 1; swift sft --dtype bf16",
    "(swift sft --sft_type lora)",
    "OUT=$(swift sft --sft_type lora | tail -1)",
    "bash -c 'swift sft --sft_type lora'",
    "srun bash -c \"swift sft --sft_type 'lora' --dtype $D\"",
    "cat <<EOF\nswift sft --sft_type lora\nEOF\nswift sft --dtype bf16",
    'train() {\n  swift sft --dtype bf16 "$@"\n}\ntrain --sft_type lora',
    'function ask { X=1 swift infer "$@" | tee log; }\nCUDA_VISIBLE_DEVICES=1 ask --ckpt_dir "a}" --infer_backend pt',
    "SWIFT=/opt/bin/swift\n$SWIFT sft --sft_type lora",
    "A=1\t# x\r\nswift  sft \\\r\n\t --sft_type   lora  \\\r\n  --lr_scheduler_type 'cosine'  # swift sft --rlhf_type AUTO\r\n",
    "M=qwen2-vl-7b-instruct\nswift sft --model_type $M",
    'M="qwen2-vl-7b-instruct"\nswift sft --model_type "${M}"',
    "M=${M:-qwen2-vl-7b-instruct}\nswift sft --model_type $M",
    "swift sft --model_type ${M:-qwen2-vl-7b-instruct}",
    "for M in qwen2-vl-7b-instruct 'qwen-vl-chat'; do swift sft --model_type $M; done",
]
REPLACED = {
    "--sft_type": "--tuner_type",
    "--dtype": "--torch_dtype",
    "bf16": "bfloat16",
    "--ckpt_dir": "--adapters",
    "_backend pt": "_backend transformers",
    "--model_type": "--model",
    "qwen2-vl-7b-instruct": QWEN,
    "qwen-vl-chat": "Qwen/Qwen-VL-Chat",
}
COMMANDS |= {old: re.sub("|".join(REPLACED), lambda found: REPLACED[found[0]], old) for old in IN_PLACE}


@pytest.mark.parametrize(("old", "new"), FLAGS.items())
def test_flags(old, new):
    assert bare(f"swift sft {old}\n") == f"swift sft {new}\n"


@pytest.mark.parametrize(("old", "new"), COMMANDS.items())
def test_commands(old, new):
    assert bare(old) == new


@pytest.mark.parametrize("old", [*(f"swift sft {flags}" for flags in FLAGS), *COMMANDS])
def test_what_is_migrated_stays_as_it_is(old):
    once = migrate_script(old).text
    again = migrate_script(once)
    assert again.text == once
    assert again.findings == []


KEPT = r"""#!/usr/bin/env bash
# swift sft --sft_type lora: a comment stays
set -euo pipefail
echo "batch_size $# \
  --not a flag of swift"
swift sft \
    --model Qwen/Qwen2-VL-7B-Instruct   \
    --dataset "my data.jsonl" 'b.jsonl' \
    --tuner_type lora	--learning_rate 1e-4 "$@"   # tail
python train.py --batch_size 4 --sft_type lora
git clone https://example.org/swift && cd swift
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_script_for_today_is_not_touched(end):
    text = KEPT.replace("\n", end)
    done = migrate_script(text)
    assert (done.text, done.findings, done.commands, done.old) == (text, [], 1, 0)


def test_additions_are_written_as_the_command_is():
    old = 'swift sft \\\n    --model_type qwen2-vl-7b-instruct \\\n    --dataset a.jsonl "$@"\n'
    lines = migrate_script(old).text.splitlines()
    assert lines[:2] == ["swift sft \\", f"    --model {QWEN} \\"]
    assert lines[2:5] == ["    --dataset a.jsonl \\", "    --num_train_epochs 1 \\", "    --max_length 2048 \\"]
    assert lines[-1] == '    --output_dir output/qwen2-vl-7b-instruct "$@"'


TWO_USES = "for M in qwen2-vl-7b-instruct qwen-vl-chat; do swift sft --model_type $M --logging_dir $M; done"


@pytest.mark.parametrize(
    ("old", "reported"),
    [
        (TWO_USES, ["M=qwen2-vl-7b-instruct", "M=qwen-vl-chat"]),
        ("swift sft --model_type $M", ["$M"]),
        ("swift sft --deepspeed $1 --sft_type lora", ["$1"]),
        ('swift sft --model_type "$(cat model.txt)"', ['"$(cat model.txt)"']),
        ("PYTHONPATH=../.. python llm_sft.py --sft_type lora", ["PYTHONPATH=../.."]),
        ("NPROC_PER_NODE=4 swift infer --ckpt_dir a-merged", ["--ckpt_dir a-merged", "NPROC_PER_NODE=4"]),
        ("NPROC_PER_NODE=4 swift sft --sft_type lora", []),
    ],
)
def test_what_is_to_do_by_hand(old, reported):
    done = migrate_script(old, BARE)
    assert [each.old for each in done.findings if each.level == "todo"] == reported
    assert done.text == old.replace("--model_type", "--model") or old != TWO_USES


TODO = {
    "--sft_type ia3": "IA3",
    "--train_backend megatron": "megatron sft",
    "--streaming_val_size 10": "--val_dataset",
    "--train_dataset_mix_ratio 0.5": "groundswift mix",
    "--hqq_dynamic_config_path a.json": "hqq",
    "--model_type no-such-model": "--model",
    "--quant_method aqlm --sft_type lora": "AQLM",
    "--custom_register_path p.py --sft_type lora": "rewrite the plugin",
    "--sft_type lora --my_flag 3": "not a flag of 2.6.1",
    "--dataset a.jsonl b.jsonl --train_dataset_sample 10": "#N",
    "--val_dataset_sample 10": "the command has none",
}


@pytest.mark.parametrize(("flags", "said"), TODO.items())
def test_what_cannot_be_migrated_is_said_by_line(flags, said):
    done = migrate_script(f"\nswift sft \\\n {flags}\n", BARE)
    todo = [each for each in done.findings if each.level == "todo"]
    assert [each.line for each in todo] == [3]
    assert said in todo[0].note


@pytest.mark.parametrize("command", ["sft", "infer", "export", "deploy", "eval", "app-ui", "rlhf", "pt", "web-ui"])
def test_no_flag_goes_without_a_finding(command):
    """Every flag of 2.x, with a value of its own: it is in the new command under its name, or a finding names it."""
    for flag in flags_of(command).values():
        value = {"bool": "true", "list": "v1 v2"}.get(flag.values, flag.default or "7")
        done = migrate_script(f"swift {command} --{flag.name} {value}", BARE)
        assert f"--{flag.name} {value}" in done.text or [each for each in done.findings if f"--{flag.name} {value}" in each.old], flag


GROUNDING = "swift sft --model_type {} --dataset refcoco-unofficial-grounding#20000 --sft_type lora"


@pytest.mark.parametrize(
    ("model", "template"), [("qwen2-vl-7b-instruct", "qwen2_vl"), ("llava1_5-7b-instruct", "llava1_5_hf"), ("qwen-vl-chat", "qwen_vl")]
)
def test_grounding_by_the_plugin(model, template):
    new = bare(GROUNDING.format(model))
    assert "--dataset refcoco-unofficial-grounding#20000" in new
    assert new.endswith(f'--custom_register_path "$(groundswift plugin)" --template {template}_grounding')


def test_grounding_without_the_plugin():
    new = migrate_script(GROUNDING.format("qwen2-vl-7b-instruct"), Settings(keep_defaults=False, plugin=False)).text
    assert new == f"swift sft --model {QWEN} --dataset swift/refcoco:grounding#20000 --tuner_type lora"


def test_a_plugin_of_ones_own_stays_with_ours():
    new = bare(GROUNDING.format("qwen2-vl-7b-instruct") + " --custom_register_path mine.py")
    assert '--custom_register_path mine.py "$(groundswift plugin)"' in new


def test_defaults_are_written_once_where_a_function_wraps_the_command():
    body, call = migrate_script('train() { swift sft --dtype bf16 "$@"; }\ntrain --sft_type lora').text.splitlines()
    assert "--num_train_epochs 1" in body
    assert call == "train --tuner_type lora"
    body, call = migrate_script('train() { swift sft "$@"; }\ntrain --sft_type lora').text.splitlines()
    assert body == 'train() { swift sft "$@"; }'
    assert "--num_train_epochs 1" in call


DEFAULTS = {
    "sft --model_type qwen2-vl-7b-instruct": {"num_train_epochs": "1", "split_dataset_ratio": "0.01", "eval_steps": "50"},
    "sft --model_type qwen2-vl-7b-instruct --lr_scheduler_type linear": {"warmup_ratio": "0.05"},
    "sft --model_type qwen2-vl-7b-instruct --sft_type full": {"freeze_vit": "false", "freeze_aligner": "false", "save_steps": "200"},
    "sft --model_type internvl2-8b --sft_type full --freeze_vit true": {"freeze_vit": "true", "freeze_aligner": "false"},
    "sft --model_type qwen2-vl-7b-instruct --sft_type full --freeze_vit true": {"freeze_vit": "true", "freeze_aligner": None},
    "sft --model_type qwen2-vl-7b-instruct --lora_target_modules ALL": {"freeze_vit": "false", "freeze_aligner": "false"},
    "sft --model_type qwen-7b-chat": {"target_modules": "c_attn"},
    "sft --model_type qwen-7b-chat --val_dataset v.jsonl --max_steps 9": {"split_dataset_ratio": None, "num_train_epochs": None},
    "sft --model_type qwen-7b-chat --eval_steps 7": {"eval_steps": "7", "save_steps": "7"},
    "sft --model_type qwen-7b-chat --output_dir out": {"output_dir": "out/qwen-7b-chat"},
    "sft --model_id_or_path qwen/Qwen-7B-Chat --output_dir out": {"output_dir": "out/qwen-7b-chat"},
    "sft --model_type qwen-7b-chat --output_dir out --add_output_dir_suffix false": {"output_dir": "out", "add_version": "false"},
    "sft --model_type qwen-7b-chat --predict_with_generate true": {"max_new_tokens": "2048"},
    "infer --model_type qwen-7b-chat --dataset alpaca-zh": {"split_dataset_ratio": "0.01", "max_new_tokens": "2048"},
    "export --model_type qwen-7b-chat --quant_bits 4": {"quant_method": "awq", "dataset": "AI-ModelScope/alpaca-gpt4-data-zh#10000"},
    "eval --model_type qwen-7b-chat --eval_dataset ceval": {"eval_backend": "OpenCompass"},
}


@pytest.mark.parametrize(("old", "expected"), DEFAULTS.items())
def test_defaults_that_4_6_changed_are_written_out(old, expected):
    words = migrate_script(f"swift {old}").text.split()
    flags = {word[2:]: words[at + 1] for at, word in enumerate(words[:-1]) if word.startswith("--")}
    assert {name: flags.get(name) for name in expected} == expected


def test_a_checkpoint_is_read_off_its_folder(tmp_path):
    for file in ("lora/adapter_config.json", "full/config.json", "old/default/adapter_config.json", "old/sft_args.json"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text('{"model_type": "qwen2-vl-7b-instruct"}')
    settings = Settings(keep_defaults=False, folder=tmp_path)
    new = {name: migrate_script(f"swift infer --ckpt_dir {name}", settings) for name in ("lora", "full", "old")}
    assert new["lora"].text == "swift infer --adapters lora"
    assert new["full"].text == "swift infer --model full"
    assert new["old"].text == f"swift infer --adapters old --model {QWEN}"
    assert all(each.level != "todo" for name in new for each in new[name].findings)


@pytest.mark.parametrize("name", ["alpaca-zh", "hf::alpaca-zh", "ms::my/set:a/b#5", "a.jsonl#7", "no-such", "self-cognition#500", "a:b:c"])
def test_a_dataset_name_keeps_its_subsets_and_size(name):
    new = todays(name, True)
    assert new.partition("#")[2] == name.partition("#")[2]
    assert new.startswith("hf::") == name.startswith("hf::")
    assert todays(new, True) == new


def test_the_tables_are_whole():
    assert len(models()) > 540
    assert len(datasets()) > 165
    assert all("/" in model.id and model.model_type and model.template for model in models().values())


SHELL = [
    "a 'b c' \"d $e\" f\\ g",
    "x=1 y='2 3' run \"$@\" > out 2>&1 < in",
    "a | b && c || d; e & f",
    "A=(1 '2 3' # no\n 4)\nrun \"${A[@]}\"",
    "echo $(a \"b)\" ')') `c d` ${e:-f g} $((1+2))",
    "cat <<'EOF' | run a\nnot a command\nEOF\nrun b",
    ": <<-X\n\tbody\n\tX\nrun c",
    'echo "unclosed',
    "echo 'unclosed",
    "echo $(unclosed",
    "\\",
    "# only",
    "",
    "run --a \\\n  --b # c\nrun d",
]


@pytest.mark.parametrize("text", SHELL)
def test_words_are_where_they_say(text):
    for command in Scan(text).commands:
        for word in command.words:
            assert text[word.start : word.end] == word.raw


@pytest.mark.process
@pytest.mark.parametrize("text", [*SHELL[:2], SHELL[6], SHELL[13]])
def test_words_are_bashs(text):
    """bash itself says what the words of `run` are; those that it expands are None here."""
    script = "run() { printf '%s\\0' \"$@\"; printf '\\1'; }\na() { run \"$@\"; }\n" + text.replace("< in", "").replace("> out 2>&1", "")
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    calls = [call.split("\0")[:-1] for call in shown.split("\1") if "\0" in call]
    ours = []
    for command in Scan(text).commands:
        words = [word for word in command.words if "=" not in word.raw or word.raw.startswith("-")]
        if words and words[0].value in ("run", "a"):
            ours.append([word.value for word in words[1:]])
    assert len(ours) >= len(calls)
    for call, mine in zip(calls, [each for each in ours if each != [None]], strict=False):
        assert [value for value in mine if value is not None] == [
            value for value, same in zip(call, mine, strict=False) if same is not None
        ]
