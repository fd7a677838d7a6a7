"""Defaults of 2.x that are others in 4.6, written out, so that a migrated command does what it did."""

from __future__ import annotations

from .commands import TRAINS
from .job import Job
from .models import old_model, old_name

SINCE = "was the default of 2.x; 4.6's is {}"
TARGETS = ("target_modules", "lora_target_modules", "boft_target_modules", "vera_target_modules", "target_regex", "lora_target_regex")
VALIDATION = ("val_dataset", "custom_val_dataset_path", "dataset_test_ratio")
CALIBRATION = "AI-ModelScope/alpaca-gpt4-data-zh#10000 AI-ModelScope/alpaca-gpt4-data-en#10000"
ALIGNER_IN_TOWER = {"qwen2_vl", "qwen_vl", "glm4v", "cogvlm", "molmo", "glm_edge_v", "qwen_audio"}  # 2.x froze it with the tower


def add_defaults(job: Job) -> None:
    """Write out the defaults that matter for one command."""
    if job.found.command in TRAINS:
        _training(job)
    elif job.found.command == "infer":
        _inference(job)
    elif job.found.command == "export":
        _export(job)
    elif job.found.command == "eval" and not job.option("eval_backend"):
        job.add("eval_backend", "OpenCompass", SINCE.format("Native"))


def _training(job: Job) -> None:
    full = tuner(job) == "full"
    if not job.option("num_train_epochs") and (job.literal("max_steps") or "-1") == "-1":
        job.add("num_train_epochs", "1", SINCE.format("3"))
    if not job.option("max_length"):
        job.add("max_length", "2048", SINCE.format("the model's own"))
    split = job.option(*VALIDATION)
    if not split and not job.true("streaming"):
        job.add("split_dataset_ratio", "0.01", SINCE.format("0: no validation set"))
    if not job.option("warmup_ratio", "warmup_steps"):
        job.add("warmup_ratio", "0.05", SINCE.format("0"))
    steps = "500" if job.found.command == "pt" else "200" if full else "50"
    if not job.option("eval_steps"):
        job.add("eval_steps", steps, SINCE.format("save_steps"))
    if not job.option("save_steps"):
        given = job.option("eval_steps")
        job.add("save_steps", given.values[0].raw if given and given.values else steps, SINCE.format("500"), raw=True)
    if not job.option("save_total_limit"):
        job.add("save_total_limit", "2", SINCE.format("to keep all"))
    if job.true("predict_with_generate") and not job.option("max_new_tokens"):
        job.add("max_new_tokens", "2048", SINCE.format("64"))
    _output_dir(job)
    _frozen(job) if full else _lora_targets(job)


def tuner(job: Job) -> str:
    """What the command tunes: `lora`, `full` and so on."""
    return job.literal("sft_type") or ("full" if job.found.command == "pt" else "lora")


def _output_dir(job: Job) -> None:
    name = old_name(job)
    if not job.option("output_dir") and name and (job.literal("add_output_dir_suffix") or "true").lower() != "false":
        job.add("output_dir", f"output/{name}", SINCE.format("output/NAME_OF_THE_MODEL"))


def _frozen(job: Job) -> None:
    """Full training: 2.x trained the vision tower and the aligner unless --freeze_vit."""
    model = old_model(job)
    if model is None or model.group is None:
        return
    given = job.option("freeze_vit")
    if given is None:
        job.add("freeze_vit", "false", SINCE.format("true"))
    if not job.true("freeze_vit") or model.group not in ALIGNER_IN_TOWER:
        job.add("freeze_aligner", "false", SINCE.format("true"))


def _lora_targets(job: Job) -> None:
    model = old_model(job)
    given = job.option(*TARGETS)
    if model and model.targets and not given and job.found.command != "pt":
        job.add("target_modules", " ".join(model.targets), SINCE.format("all-linear"), raw=True)


def _inference(job: Job) -> None:
    if not job.option("max_new_tokens"):
        job.add("max_new_tokens", "2048", SINCE.format("no limit"))
    if job.option("dataset", "custom_train_dataset_path") and not job.option(
        "val_dataset", "custom_val_dataset_path", "dataset_test_ratio"
    ):
        job.add("split_dataset_ratio", "0.01", SINCE.format("0: no validation set"))


def _export(job: Job) -> None:
    bits = job.literal("quant_bits")
    if bits in (None, "0"):
        return
    if not job.option("quant_method"):
        job.add("quant_method", "awq", "was the default of 2.x; 4.6 has none")
    if not job.option("dataset", "custom_train_dataset_path") and job.literal("quant_method") != "bnb":
        job.add("dataset", CALIBRATION, "was the default of 2.x; 4.6 has none. Calibrate a vision model on its own data", raw=True)
