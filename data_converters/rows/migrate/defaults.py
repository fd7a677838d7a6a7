"""Defaults of 2.x that 4.6 has changed, written out, so that a migrated command does what it did."""

from __future__ import annotations

from .commands import TRAINS
from .job import Job
from .models import old_model, old_name

TARGETS = ("target_modules", "lora_target_modules", "boft_target_modules", "vera_target_modules", "target_regex", "lora_target_regex")
NO_VALIDATION = "0: no validation set"
VALIDATION = ("val_dataset", "custom_val_dataset_path", "dataset_test_ratio")
CALIBRATION = "AI-ModelScope/alpaca-gpt4-data-zh#10000 AI-ModelScope/alpaca-gpt4-data-en#10000"
ALIGNER_IN_TOWER = {"qwen2_vl", "qwen_vl", "glm4v", "cogvlm", "molmo", "glm_edge_v", "qwen_audio"}  # 2.x froze it with the tower


def add_defaults(job: Job) -> None:
    """Write the changed defaults of one command."""
    if job.found.command in TRAINS:
        _training(job)
    elif job.found.command == "infer":
        _inference(job)
    elif job.found.command == "export":
        _export(job)
    elif job.found.command == "eval" and not job.option("eval_backend"):
        job.add_default("eval_backend", "OpenCompass", "Native")


def _training(job: Job) -> None:
    full = tuner(job) == "full"
    steps = "500" if job.found.command == "pt" else "200" if full else "50"
    given = job.option("eval_steps")
    saved = given.values[0].raw if given and given.values else steps
    for flag, value, now, others, wanted in (
        ("num_train_epochs", "1", "3", (), (job.literal("max_steps") or "-1") == "-1"),
        ("max_length", "2048", "the model's own", (), True),
        ("split_dataset_ratio", "0.01", NO_VALIDATION, VALIDATION, not job.true("streaming")),
        ("warmup_ratio", "0.05", "0", ("warmup_steps",), True),
        ("eval_steps", steps, "save_steps", (), True),
        ("save_steps", saved, "500", (), True),
        ("save_total_limit", "2", "to keep all", (), True),
        ("max_new_tokens", "2048", "64", (), job.true("predict_with_generate")),
    ):
        if wanted and not job.option(flag, *others):
            job.add_default(flag, value, now)
    _output_dir(job)
    _frozen(job) if full else _lora_targets(job)


def tuner(job: Job) -> str:
    """The tuner of the command: `lora`, `full` and so on."""
    return job.literal("sft_type") or ("full" if job.found.command == "pt" else "lora")


def _output_dir(job: Job) -> None:
    name = old_name(job)
    if not job.option("output_dir") and name and (job.literal("add_output_dir_suffix") or "true").lower() != "false":
        job.add_default("output_dir", f"output/{name}", "output/NAME_OF_THE_MODEL")


def _frozen(job: Job) -> None:
    """Full training: 2.x trained the vision tower and the aligner unless --freeze_vit."""
    model = old_model(job)
    if model is None or model.group is None:
        return
    if not job.option("freeze_vit"):
        job.add_default("freeze_vit", "false", "true")
    if not job.true("freeze_vit") or model.group not in ALIGNER_IN_TOWER:
        job.add_default("freeze_aligner", "false", "true")


def _lora_targets(job: Job) -> None:
    model = old_model(job)
    if model and model.targets and not job.option(*TARGETS) and job.found.command != "pt":
        job.add_default("target_modules", " ".join(model.targets), "all-linear")


def _inference(job: Job) -> None:
    if not job.option("max_new_tokens"):
        job.add_default("max_new_tokens", "2048", "no limit")
    if job.option("dataset", "custom_train_dataset_path") and not job.option(*VALIDATION):
        job.add_default("split_dataset_ratio", "0.01", NO_VALIDATION)


def _export(job: Job) -> None:
    bits = job.literal("quant_bits")
    if bits in (None, "0"):
        return
    if not job.option("quant_method"):
        job.add("quant_method", "awq", "was the default of 2.x; 4.6 has none")
    if not job.option("dataset", "custom_train_dataset_path") and job.literal("quant_method") != "bnb":
        job.add("dataset", CALIBRATION, "was the default of 2.x; 4.6 has none. Calibrate a vision model on its own data", raw=True)
