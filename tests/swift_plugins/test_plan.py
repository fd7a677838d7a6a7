"""`groundswift plan`: what it reads, the steps and image tokens that it prints, and its errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from converted import run
from PIL import Image
from tiny_run import written

from groundswift.swift_plugins.tools.plan.recipe import read_training
from groundswift.swift_plugins.tools.plan.shell_words import words_of

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
SIZES = [(640, 480), (100, 60), (4000, 3000)]


plan = partial(run, "plan")


def planned(*words: object) -> dict:
    done = plan("--json", *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout[done.stdout.index("{") :])


@pytest.fixture
def rows(tmp_path) -> Path:
    """Three rows: one states the size of its image, the others have files."""
    messages = [{"role": "user", "content": "<image>a"}, {"role": "assistant", "content": "b"}]
    lines = [{"messages": messages, "images": [str(tmp_path / f"{number}.png")]} for number in range(3)]
    lines[2]["size_wh"] = SIZES[2]
    for number in (0, 1):
        Image.new("1", SIZES[number]).save(tmp_path / f"{number}.png")
    return written(tmp_path / "rows.jsonl", lines)


def config(folder: Path, rows: object, **options: object) -> Path:
    """A JSON config of swift for Qwen2.5-VL, whose model is nowhere."""
    given = {"model": "nobody/nothing", "model_type": "qwen2_5_vl", "template": "qwen2_5_vl_grounding", "dataset": [str(rows)]}
    (folder / "train.json").write_text(json.dumps({name: value for name, value in (given | options).items() if value != []}))
    return folder / "train.json"


@pytest.mark.parametrize(
    ("words", "options", "expected"),
    [
        (["--rows", 10], {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "num_train_epochs": 1}, (2, 2)),
        (["--rows", 10, "--gpus", 2], {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "num_train_epochs": 1}, (2, 2)),
        (["--rows", 10, "--gpus", 2, "--nodes", 2], {"gradient_accumulation_steps": 1, "num_train_epochs": 2.5}, (2, 5)),
        (["--rows", 5], {"split_dataset_ratio": 0.1, "gradient_accumulation_steps": 1, "num_train_epochs": 1}, (4, 4)),
        (["--rows", 5], {"split_dataset_ratio": 0.1, "eval_strategy": "no", "gradient_accumulation_steps": 1}, (5, 15)),
        (["--rows", 5], {"split_dataset_ratio": 0.1, "val_dataset": ["v.jsonl"], "gradient_accumulation_steps": 1}, (5, 15)),
        ([], {"gradient_accumulation_steps": 1}, (3, 9)),
        ([], {}, (1, 3)),
        (["--rows", 1], {"max_steps": 7}, (1, 7)),
        (["--rows", 40, "--gpus", 4], {}, (3, 9)),
    ],
)
def test_steps(rows, tmp_path, words, options, expected):
    steps = planned(config(tmp_path, rows, **options), *words)["steps"]
    assert (steps["per_epoch"], steps["total"]) == expected


def test_a_sample_repeats_rows_and_options_behind_two_dashes_come_last(rows, tmp_path):
    made = planned(config(tmp_path, f"{rows}#12"), "--", "--gradient_accumulation_steps", 1, "--max_epochs", 2)
    assert (made["datasets"][0]["rows"], made["steps"]["rows"], made["steps"]["total"]) == (3, 12, 24)
    assert any("asks for 12 of 3 rows, so rows repeat" in note for note in made["notes"])


def test_rows_of_each_dataset(tmp_path):
    path = config(tmp_path, "a", dataset=["hub/one", "hub/two#3"], split_dataset_ratio=0.5, gradient_accumulation_steps=1)
    made = planned(path, "--rows", 11, "--rows", 9)
    assert [(part["training_rows"], part["validation_rows"]) for part in made["datasets"]] == [(6, 5), (2, 1)]
    assert planned(path)["steps"] is None
    assert "'hub/one' is not a local file of rows; add --rows N" in planned(path)["notes"][0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"MAX_PIXELS": 602112}, (8, 391, 768, 4, 768)),
        ({"MAX_PIXELS": 602112, "IMAGE_MAX_TOKEN_NUM": 64}, (8, 54, 54, 4, 64)),
        ({"MIN_PIXELS": 802816, "MAX_PIXELS": 1605632}, (1036, 1050, 2028, 1024, 2048)),
    ],
)
def test_tokens_of_each_image(rows, tmp_path, given, expected):
    """391 tokens: 640 x 480 px become 644 x 476, which is 23 x 17 tokens of 28 px."""
    tokens = planned(config(tmp_path, rows, ENV=given))["image_tokens"]
    assert tuple(tokens[name] for name in ("lowest", "median", "highest", "limit_lowest", "limit_highest")) == expected


def test_tokens_are_those_that_swift_makes(zoo, rows):
    """The template of a real processor, in the pixel limits of this process."""
    from groundswift.family import FAMILIES
    from groundswift.swift_plugins.grounding.patches.run_record import limits_now
    from groundswift.swift_plugins.tools.encoding import encoded
    from groundswift.swift_plugins.tools.plan.image_tokens import count_image_tokens

    template = zoo["qwen2_5_vl"]
    limits = limits_now(FAMILIES["qwen2_5_vl"], template.max_pixels)
    for line, size_wh in zip(rows.read_text().splitlines()[:2], SIZES, strict=False):
        ids = encoded(template, json.loads(line)).input_ids
        assert ids.count(template.image_token_id) == count_image_tokens([size_wh], FAMILIES["qwen2_5_vl"], limits).highest


def test_a_recipe_prints_its_command_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("OUT", str(tmp_path / "run"))
    made = planned(RECIPES / "detection" / "qwen2_5_vl_lora.sh", "--rows", 10001, "--gpus", 4, "--seconds-per-step", 2)
    assert made["steps"]["total"] == 471
    assert made["steps"]["unseen_rows_per_epoch"] == 1
    assert made["minutes"] == pytest.approx(471 * 2 / 60)
    assert (made["image_tokens"]["limit_lowest"], made["image_tokens"]["limit_highest"]) == (1024, 2048)
    assert any("Set NPROC_PER_NODE=4" in note for note in made["notes"])
    assert not (tmp_path / "run").exists()


TRAINING_RECIPES = [path for path in sorted(RECIPES.glob("*/*.sh")) if not path.name.startswith("_")]


@pytest.mark.long
def test_every_recipe_that_trains_has_steps(monkeypatch, tmp_path):
    """Recipes that train nothing, or by Megatron, are named as such; swift's own parser takes the options of all others."""
    from groundswift.errors import GroundswiftError
    from groundswift.swift_plugins.tools.plan.data import parts_of
    from groundswift.swift_plugins.tools.plan.plan import Plan, plan_steps
    from groundswift.swift_plugins.tools.plan.settings import read_settings

    monkeypatch.setenv("OUT", str(tmp_path / "run"))
    planned_recipes, refused = 0, {}
    for path in TRAINING_RECIPES:
        try:
            settings = read_settings(read_training(path, ["--seed", "7"], 4), {}, 4)
        except GroundswiftError as error:
            refused[path.name] = str(error)
            continue
        made = Plan(parts_of(settings.options.dataset, settings.options.cached_dataset, settings.split_ratio(), [1000]))
        plan_steps(made, settings)
        assert settings.options.seed == 7, path
        assert made.total_steps or any("--packing" in note for note in made.notes), path
        planned_recipes += 1
    assert planned_recipes > 10
    assert not {name: text for name, text in refused.items() if not re.search("no swift sft, pt or rlhf command|megatron sft", text)}
    assert not (tmp_path / "run").exists()


SCRIPT = """#!/bin/bash
# Rate      1.5 s/step (2026-11-29, abc1234, H200)
MODEL=${MODEL:-a/b}; export MAX_PIXELS=100352
LORA=(--lora_rank 8
  --lora_alpha 32)
touch ran
# swift sft --model no
CUDA_VISIBLE_DEVICES=0,1 \\
NPROC_PER_NODE=2 \\
swift sft \\
    --model "$MODEL" --dataset 'my data.jsonl' "${LORA[@]}" --output_dir "out/$MODEL" "$@"   # the end
"""


def test_any_other_script_is_read_and_never_run(tmp_path, monkeypatch):
    (tmp_path / "train.sh").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    training = read_training(Path("train.sh"), ["--max_steps", "6"])
    assert training.environment == {"MAX_PIXELS": "100352", "CUDA_VISIBLE_DEVICES": "0,1", "NPROC_PER_NODE": "2"}
    assert training.options[:8] == ["--model", "a/b", "--dataset", "my data.jsonl", "--lora_rank", "8", "--lora_alpha", "32"]
    assert training.options[8:] == ["--output_dir", "out/a/b", "--max_steps", "6"]
    made = planned("train.sh", "--rows", 10, "--", "--max_steps", 6)
    assert (made["steps"]["processes"], made["seconds_per_step"], made["minutes"]) == (2, 1.5, pytest.approx(0.15))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "kind", "environment", "options"),
    [
        ("torchrun --nproc_per_node=4 --nnodes 2 /x/swift/cli/sft.py --a b", "sft", {"NPROC_PER_NODE": "4", "NNODES": "2"}, ["--a", "b"]),
        ("nohup env A=1 swift rlhf --rlhf_type dpo > log 2>&1 &", "rlhf", {"A": "1"}, ["--rlhf_type", "dpo"]),
        ("cd /x && swift pt --a 'b c'", "pt", {}, ["--a", "b c"]),
    ],
)
def test_ways_to_start_a_training(tmp_path, text, kind, environment, options):
    """Words of the plan's command come last, with and without `"$@"` in the script."""
    (tmp_path / "train.txt").write_text(text)
    training = read_training(tmp_path / "train.txt", ["--last", "1"])
    assert (training.kind, training.environment, training.options) == (kind, environment, [*options, "--last", "1"])


def test_words_are_quoted_as_bash_prints_them():
    words = words_of(r"A=1 swift sft --x a\ b --y $'c\nd' '{\"e\": 1}'")
    assert words == ["A=1", "swift", "sft", "--x", "a b", "--y", "c\nd", '{\\"e\\": 1}']


@pytest.mark.parametrize(
    ("name", "text", "words", "message"),
    [
        ("none.sh", None, [], "none.sh: no such file"),
        ("train.yaml", "", [], "train.yaml: is empty"),
        ("train.yaml", "- a\n", [], "train.yaml: not a mapping of options"),
        ("train.json", "{", [], "train.json: Expecting property name"),
        ("train.sh", "echo hello\n", [], "no swift sft, pt or rlhf command"),
        ("train.sh", "megatron sft --x 1\n", [], "megatron sft cannot be planned"),
        ("train.sh", "swift sft --dataset a --sft_type lora\n", [], "swift sft has no option --sft_type; `groundswift migrate` translates"),
        ("train.sh", "swift sft --dataset a --lora_ranks 8\n", [], "swift sft has no option --lora_ranks; close are --lora_rank"),
        ("train.sh", "swift sft --dataset a --lora_rank many\n", [], "invalid int value: 'many'"),
        ("train.sh", "swift sft --model a\n", [], "no --dataset"),
        ("train.sh", "swift sft --dataset ./a.jsonl\n", [], "./a.jsonl: no such file"),
        ("train.sh", "swift sft --dataset a --split_dataset_ratio 0.5\n", ["--rows", 1], "leaves no row to train on"),
        ("train.sh", "swift sft --dataset a\n", ["--rows", 3, "--gpus", 4], "3 rows for 4 processes: each gets none"),
        ("train.sh", "swift sft --dataset a --streaming true\n", [], "--streaming true needs --max_steps"),
        ("train.sh", "NPROC_PER_NODE=x swift sft --dataset a\n", [], "NPROC_PER_NODE=x: expected a whole number above 0"),
        ("train.sh", "swift rlhf --rlhf_type ppo --dataset a\n", [], "--rlhf_type ppo: its steps cannot be planned"),
        ("train.sh", "MAX_PIXELS=big swift sft --dataset a --template qwen2_vl\n", [], "MAX_PIXELS=big: expected a whole number"),
    ],
)
def test_errors_are_one_line_in_words(tmp_path, monkeypatch, name, text, words, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_text(text)
    done = plan(name, *words)
    assert done.exit_code == 1
    (line,) = [line for line in done.output.splitlines() if line.startswith("error: ")]
    assert message in line
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--streaming true", "rows are streamed"),
        ("--packing true --attn_impl flash_attn", "--packing joins as many rows as fit"),
        ("--truncation_strategy split", "makes several rows of a long one"),
        ("--interleave_prob 0.5 0.5", "--interleave_prob draws rows at random"),
    ],
)
def test_max_steps_are_known_where_an_epoch_has_no_length(tmp_path, words, reason):
    (tmp_path / "train.sh").write_text(f"swift sft --dataset a {words} --max_steps 30\n")
    made = planned(tmp_path / "train.sh", "--seconds-per-step", 2, "--rows", 10)
    assert (made["steps"], made["total_steps"], made["minutes"]) == (None, 30, 1.0)
    assert any(reason in note for note in made["notes"])


def test_a_dataset_that_swift_exported_is_counted_and_not_split(tmp_path):
    from datasets import Dataset

    Dataset.from_dict({"n": list(range(7))}).save_to_disk(str(tmp_path / "cached"))
    path = config(tmp_path, "a", dataset=[], cached_dataset=[str(tmp_path / "cached")], split_dataset_ratio=0.5)
    assert planned(path)["datasets"][0]["training_rows"] == 7


def test_what_is_not_known_is_named(tmp_path):
    (tmp_path / "train.sh").write_text("swift sft --dataset a --packing true --attn_impl flash_attn\n")
    done = plan(tmp_path / "train.sh", "--rows", 10)
    assert done.exit_code == 0
    for text in ("steps             not known", "--packing joins as many rows as fit", "time              not measured"):
        assert text in done.output


def test_a_wrong_path_loads_no_torch():
    code = "import sys; from groundswift.cli import main; main(['plan', 'none.sh'], standalone_mode=False)\n"
    code += "print({'torch', 'swift'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stdout + done.stderr
