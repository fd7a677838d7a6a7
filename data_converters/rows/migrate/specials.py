"""Flags whose migration depends on their value or on other flags."""

from __future__ import annotations

from collections.abc import Callable

from .commands import TRAINS, Option
from .job import Job
from .models import migrate_ckpt_dir, old_model, old_name
from .rules import MODULES
from .shell import quoted

Special = Callable[[Job, Option], None]
LOSS_SCALES = {"alpha-umi": "alpha_umi", "agent-flan": "agentflan", "DEFAULT": "react"}


def quantization_bit(job: Job, option: Option) -> None:
    """0 goes; else --quant_bits, with the method that 2.x took where none was given."""
    value = job.literal("quantization_bit")
    if value == "0":
        job.drop(option, "0 is the default")
        return
    job.say("changed", option, "--quant_bits")
    job.rename(option, "quant_bits")
    if not job.option("quant_method"):
        job.add("quant_method", "hqq" if value in ("1", "2", "3") else "bnb", "was the method of 2.x for these bits")


def do_sample(job: Job, option: Option) -> None:
    """false becomes --temperature 0."""
    if job.true("do_sample"):
        job.drop(option, "answers are sampled unless --temperature is 0")
    elif job.option("temperature"):
        job.drop(option, "--temperature says it")
    else:
        job.instead(option, "temperature", "0")


def _becomes(flag: str, value: str, wanted: Callable[[Job], bool], otherwise: str) -> Special:
    """Another flag and value where `wanted`; else the option goes, and `otherwise` says why."""

    def special(job: Job, option: Option) -> None:
        if wanted(job):
            job.instead(option, flag, value)
        else:
            job.drop(option, otherwise)

    return special


def device_max_memory(job: Job, option: Option) -> None:
    """A list by GPU becomes a dictionary."""
    memory = ", ".join(f'{number}: "{word.value or word.raw}"' for number, word in enumerate(option.values))
    job.instead(option, "max_memory", "{" + memory + "}")


def output_dir(job: Job, option: Option) -> None:
    """2.x wrote to OUTPUT_DIR/MODEL_TYPE/vN-TIME: the middle folder is added."""
    name, word = old_name(job), option.values[0] if option.values else None
    suffix = (job.literal("add_output_dir_suffix") or "true").lower() != "false"
    if not (job.found.command in TRAINS and suffix and name and word and job.settings.keep_defaults):
        return
    raw = word.raw
    new = quoted(word.value.rstrip("/") + "/" + name, raw) if word.value is not None else f"{raw}/{name}"
    job.say("changed", option, f"--output_dir {new}", "2.x appended the model_type")
    job.edit(word.start, word.end, job.fitting(new))


def use_loss_scale(job: Job, option: Option) -> None:
    """true becomes --loss_scale react, or what loss_scale_config_path named."""
    name = LOSS_SCALES.get(job.literal("loss_scale_config_path") or "DEFAULT")
    if not job.true("use_loss_scale"):
        job.drop(option, "false is the default")
    elif name is None:
        job.todo(option, "write the weights of the file as a loss_scale plugin")
    else:
        job.instead(option, "loss_scale", name)


def loss_scale_config_path(job: Job, option: Option) -> None:
    """Used by use_loss_scale only."""
    job.drop(option, "--loss_scale names it" if job.true("use_loss_scale") else "2.x read it with --use_loss_scale true only")


def target_modules(job: Job, option: Option) -> None:
    """ALL, DEFAULT and EMBEDDING, a comma-separated list; ALL took the vision tower too."""
    model, words = old_model(job), option.values
    new: list[str] = []
    for word in words:
        parts = word.value.split(",") if word.value is not None and "," in word.value and len(words) == 1 else [word.value]
        for part in parts:
            default = model.targets if model and part in ("DEFAULT", "AUTO") else None
            new += default or [quoted(MODULES.get(part, part), word.raw) if part is not None else word.raw]
    job.say("changed", option, "--target_modules " + " ".join(new))
    job.rename(option, "target_modules")
    if words and new != [word.raw for word in words]:
        job.edit(words[0].start, words[-1].end, job.fitting(" ".join(new)))
    whole = any(word.value and "ALL" in word.value.split(",") for word in words)
    if whole and model and model.group and job.settings.keep_defaults:
        for part in ("freeze_vit", "freeze_aligner"):
            if not job.option(part):
                job.add(part, "false", "ALL took every linear layer, including those of the vision tower")


def result_dir(job: Job, option: Option) -> None:
    """The folder becomes a file in it."""
    word = next(iter(option.values), None)
    if word is None:
        return job.todo(option, "it has no value")
    new = quoted(word.value.rstrip("/") + "/infer_result.jsonl", word.raw) if word.value is not None else f"{word.raw}/infer_result.jsonl"
    job.say("changed", option, f"--result_path {new}", "swift appends to a file that exists")
    job.rename(option, "result_path")
    job.edit(word.start, word.end, job.fitting(new))


def eval_human(job: Job, option: Option) -> None:
    """4.6 starts a dialogue if no dataset is given."""
    if job.true("eval_human") and job.option("dataset", "val_dataset", "load_dataset_config"):
        job.todo(option, "for a dialogue remove --dataset, --val_dataset and --load_data_args")
    else:
        job.drop(option, "a dialogue starts where no dataset is given")


def eval_limit(job: Job, option: Option) -> None:
    """A number only."""
    value = job.literal("eval_limit")
    if value is not None and not value.isdigit():
        job.todo(option, "4.6 takes a number of samples")


def eval_batch_size(job: Job, option: Option) -> None:
    """A key of --extra_eval_args."""
    value = job.literal(option.name)
    if value is None:
        job.todo(option, """use --extra_eval_args '{"eval_batch_size": N}'""")
    else:
        job.instead(option, "extra_eval_args", f'{{"eval_batch_size": {value}}}')


DATASET_CHECKED = "swift drops unreadable rows and reports their number; see `groundswift lint`"
SPECIALS: dict[str, Special] = {
    "ckpt_dir": migrate_ckpt_dir,
    "use_flash_attn": _becomes("attn_impl", "flash_attn", lambda job: job.true("use_flash_attn"), "sdpa is the default"),
    "add_output_dir_suffix": _becomes("add_version", "false", lambda job: not job.true("add_output_dir_suffix"), "true is the default"),
    "check_dataset_strategy": _becomes("strict", "true", lambda job: job.literal("check_dataset_strategy") == "error", DATASET_CHECKED),
    **dict.fromkeys(("target_modules", "lora_target_modules", "boft_target_modules", "vera_target_modules"), target_modules),
    **{
        each.__name__: each
        for each in (
            *(quantization_bit, do_sample, device_max_memory, output_dir, use_loss_scale, loss_scale_config_path),
            *(result_dir, eval_human, eval_limit, eval_batch_size),
        )
    },
}
