"""The model, template and checkpoint of a command.

`--model_type` and `--model_id_or_path` become `--model`, with 4.6's `--model_type` if a folder needs it; `--ckpt_dir` becomes `--adapters`
for LoRA weights and `--model` for a whole model.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from groundswift.family import FAMILIES, TEMPLATE_SUFFIX

from .commands import Option
from .job import Job
from .shell import Word, quoted
from .tables import GENERATION, OldModel, model_of_id, models, name_of_id, template_of, templates

GROUNDING = {name for row in FAMILIES.values() for name in row.templates}
WHOLE = re.compile(r"merged|-(?:gptq|awq|bnb|int[48])")
GUESSED = "folder not found here: assumed to be {}. Use --adapters for a LoRA checkpoint, --model for a whole model"
OF_2X = "{} was written by 2.x and has no args.json, which 4.6 needs to find the model: --model added. Check an answer"
NO_DATA = "{} has no args.json: use --val_dataset instead of --load_data_args"
NOT_KNOWN = "the value of {} is not in the script: it must be {}"


def value_of(job: Job, word: Word, mapped: Callable[[str], str | None], expected: str) -> bool:
    """Change one value by `mapped` (None: unknown), in place or where its variable is set. Returns whether all values were known."""
    if word.value is not None:
        new = mapped(word.value)
        if new is None:
            return False
        job.replace(word, new)
        return True
    literals = job.variables.literals(word)
    changes = {site: mapped(value) for site, value in literals if value}
    if not changes or None in changes.values():
        job.report("todo", word.start, word.raw, note=NOT_KNOWN.format(word.raw, expected))
        return False
    job.variables.want(word, {site: new for site, new in changes.items() if new is not None})
    return True


def old_model(job: Job, kind: str = "model") -> OldModel | None:
    """The command's model, if 2.x had it. `kind`: model, ref_model or reward_model."""
    prefix = kind.removesuffix("model")
    given = job.literal(prefix + "model_id_or_path", prefix + "model_cache_dir") or ""
    return models().get(job.literal(prefix + "model_type") or "") or model_of_id().get(given.lower())


def old_name(job: Job) -> str | None:
    """2.x's model_type of the command's model: it named the output folder."""
    given = (job.literal("model_id_or_path", "model_cache_dir") or "").lower()
    return job.literal("model_type") or name_of_id().get(given)


def migrate_model(job: Job, kind: str = "model") -> None:
    """Write `--model` (or `--ref_model`, `--reward_model`) and what goes with it."""
    prefix = kind.removesuffix("model")
    types = job.option(prefix + "model_type")
    place = job.option(prefix + "model_id_or_path", prefix + "model_cache_dir")
    if place is not None:
        job.say("changed", place, f"--{kind}")
        job.rename(place, kind)
        known = _canonical(job, place)
        if types is not None and known:
            job.say("changed", types, "", f"--{kind} names the model")
            job.remove(types)
        elif types is not None:
            _todays_type(job, types, kind)
    elif types is not None:
        _type_to_id(job, types, kind)


def _canonical(job: Job, place: Option) -> bool:
    """Replace a hub id by today's. Returns whether 4.6 knows every id."""
    word = place.values[0] if place.values else None
    if word is None:
        return False
    values = [word.value] if word.value is not None else [value for _, value in job.variables.literals(word)]
    if not values or any((value or "").lower() not in model_of_id() for value in values):
        return False
    return value_of(job, word, lambda value: model_of_id()[value.lower()].id, "a model id")


def _type_to_id(job: Job, types: Option, kind: str) -> None:
    word = types.values[0] if types.values else None
    if word is None:
        return
    if word.value is not None and word.value not in models():
        job.report("todo", word.start, job.shown(types), note=f"not a model_type of 2.x: name the model with --{kind}")
        return
    model = models().get(word.value or "")
    job.say("changed", types, f"--{kind} {model.id if model else word.raw}")
    job.rename(types, kind)
    value_of(job, word, lambda value: models()[value].id if value in models() else None, "a model id such as Qwen/Qwen2-VL-7B-Instruct")


def _todays_type(job: Job, types: Option, kind: str) -> None:
    """A folder, or an id unknown to 4.6, needs 4.6's model_type, and a template if the type has several."""
    word = types.values[0] if types.values else None
    if word is None:
        return
    model = models().get(job.known(word) or "")
    if model is None and word.value is not None:
        job.report("todo", word.start, job.shown(types), note="not a model_type of 2.x: write 4.6's, such as qwen2_vl")
        return
    if model:
        job.say("changed", types, f"--{kind}_type {model.model_type}")
    known = value_of(job, word, lambda value: models()[value].model_type if value in models() else None, "a model_type of 4.6")
    if known and model and kind == "model" and job.literal("template_type") in (None, "AUTO") and not job.option("template"):
        job.add("template", wanted_template(job, model.template), "a folder's model_type can have several templates")


def wanted_template(job: Job, name: str) -> str:
    """The template's name, with `_grounding` if the command trains on boxes with the plugin."""
    grounding = name + TEMPLATE_SUFFIX
    return grounding if job.grounding and grounding in GROUNDING else name


def migrate_template(job: Job, option: Option) -> None:
    """`--template_type`: AUTO goes, `X-generation` becomes X without the chat template."""
    word = option.values[0] if option.values else None
    value = word and job.known(word)
    if word is None or value == "AUTO":
        job.drop(option, "AUTO is the default")
        return
    model = old_model(job)
    if value in templates():
        new = template_of(value, model)
        if not new:
            job.rename(option, "template")
            job.say("todo", option, note="give the model's template, with --use_chat_template false")
            return
        job.say("changed", option, f"--template {wanted_template(job, new)}")
        job.rename(option, "template")
        value_of(job, word, lambda each: wanted_template(job, new) if each == value else None, "a template of 4.6")
        if value.endswith((GENERATION, GENERATION + "-bos")):
            job.add("use_chat_template", "false", "the template was a -generation one")
        return
    job.rename(option, "template")
    job.say("todo", option, "--template", "not a template of 2.x: register your own as 4.6 does")


def add_template(job: Job) -> None:
    """Add the grounding template if the command trains on the plugin's boxes and has no template."""
    model = old_model(job)
    if job.option("template_type", "template") or any(each.startswith("--template ") for each in job.extra):
        return
    if model and (name := wanted_template(job, model.template)) in GROUNDING:
        job.add("template", name, "writes boxes in the model's own text and space")


def migrate_ckpt_dir(job: Job, option: Option) -> None:
    """Write --adapters or --model for a checkpoint, and the base model if 4.6 cannot read it from the folder."""
    word = option.values[0] if option.values else None
    value = (word and job.known(word)) or ""
    folder = job.settings.folder / value
    there = bool(value) and os.path.isdir(folder)
    flag = _by_files(folder) if there else None
    guessed = flag is None
    if flag is None:
        flag = "model" if WHOLE.search(Path(value).name) or job.trained == "full" else "adapters"
    job.say("changed", option, f"--{flag}")
    job.rename(option, flag)
    if guessed:
        job.say("todo", option, f"--{flag}", GUESSED.format(f"--{flag}"))
    if there and (folder / "sft_args.json").is_file() and not (folder / "args.json").is_file():
        _name_base(job, option, folder, value, flag)


def _by_files(folder: Path) -> str | None:
    """The flag for a checkpoint, by the files in its folder; None if they do not show it."""
    if any((folder / name).is_file() for name in ("adapter_config.json", "default/adapter_config.json")):
        return "adapters"
    return "model" if (folder / "config.json").is_file() else None


def _name_base(job: Job, option: Option, folder: Path, value: str, flag: str) -> None:
    try:
        saved = json.loads((folder / "sft_args.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        saved = {}
    model = models().get(saved.get("model_type") or "")
    base = saved.get("model_id_or_path")
    if flag == "adapters" and not job.option("model_type", "model_id_or_path", "model_cache_dir"):
        if isinstance(base, str) and (Path(base).is_dir() or model is None):
            job.add("model", quoted(base), OF_2X.format(value), raw=True)
        elif model is not None:
            job.add("model", model.id, OF_2X.format(value))
    if job.option("load_dataset_config"):
        job.say("todo", option, note=NO_DATA.format(value))
