"""The model of a command: `--model_type` and `--model_id_or_path` become `--model`, and today's `--model_type` where a folder needs it."""

from __future__ import annotations

from collections.abc import Callable

from groundswift.family import FAMILIES, TEMPLATE_SUFFIX

from .commands import Option
from .job import Job
from .shell import Word
from .tables import GENERATION, OldModel, model_of_id, models, name_of_id, template_of, templates

GROUNDING = {name for row in FAMILIES.values() for name in row.templates}
NOT_KNOWN = "the script does not say what {} is: it must be {}"


def value_of(job: Job, word: Word, mapped: Callable[[str], str | None], expected: str) -> bool:
    """Change one value by `mapped` (None: not known), in place or where its variable is set. Returns whether all of it was known."""
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
    """The model that the command names, if 2.x had it. `kind` is model, ref_model or reward_model."""
    prefix = kind.removesuffix("model")
    name = job.literal(prefix + "model_type")
    if name in models():
        return models()[name]
    given = job.literal(prefix + "model_id_or_path", prefix + "model_cache_dir")
    return model_of_id().get((given or "").lower())


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
        job.report("changed", place.word.start, job.shown(place), f"--{kind}")
        job.rename(place, kind)
        known = _canonical(job, place)
        if types is not None and known:
            job.report("changed", types.word.start, job.shown(types), "", f"--{kind} names the model")
            job.remove(types)
        elif types is not None:
            _todays_type(job, types, kind)
    elif types is not None:
        _type_to_id(job, types, kind)


def _canonical(job: Job, place: Option) -> bool:
    """Spell a hub's id as it is today. Returns whether every id is one that 4.6 knows by name."""
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
    job.report("changed", types.word.start, job.shown(types), f"--{kind} {model.id if model else word.raw}")
    job.rename(types, kind)
    value_of(job, word, lambda value: models()[value].id if value in models() else None, "a model id such as Qwen/Qwen2-VL-7B-Instruct")


def _todays_type(job: Job, types: Option, kind: str) -> None:
    """A folder, or an id that 4.6 does not know: it needs today's model_type, and the template where several belong to the type."""
    word = types.values[0] if types.values else None
    if word is None:
        return
    model = models().get(job.known(word) or "")
    if model is None and word.value is not None:
        job.report("todo", word.start, job.shown(types), note="not a model_type of 2.x: write 4.6's, such as qwen2_vl")
        return
    if model:
        job.report("changed", types.word.start, job.shown(types), f"--{kind}_type {model.model_type}")
    known = value_of(job, word, lambda value: models()[value].model_type if value in models() else None, "a model_type of 4.6")
    if known and model and kind == "model" and job.literal("template_type") in (None, "AUTO") and not job.option("template"):
        job.add("template", wanted_template(job, model.template), "a folder's model_type can have several templates")


def wanted_template(job: Job, name: str) -> str:
    """The template's name, with `_grounding` where the command trains on boxes by the plugin."""
    grounding = name + TEMPLATE_SUFFIX
    return grounding if job.grounding and grounding in GROUNDING else name


def migrate_template(job: Job, option: Option) -> None:
    """`--template_type`: AUTO goes, `X-generation` becomes X without the chat template."""
    word = option.values[0] if option.values else None
    value = word and job.known(word)
    if word is None or value == "AUTO":
        job.report("dropped", option.word.start, job.shown(option), note="AUTO is the default")
        job.remove(option)
        return
    model = old_model(job)
    if value in templates():
        new = template_of(value, model)
        if not new:
            job.rename(option, "template")
            job.report("todo", option.word.start, job.shown(option), note="name the template of the model, with --use_chat_template false")
            return
        job.report("changed", option.word.start, job.shown(option), f"--template {wanted_template(job, new)}")
        job.rename(option, "template")
        value_of(job, word, lambda each: wanted_template(job, new) if each == value else None, "a template of 4.6")
        if value.endswith((GENERATION, GENERATION + "-bos")):
            job.add("use_chat_template", "false", "the template was a -generation one")
        return
    job.rename(option, "template")
    job.report("todo", option.word.start, job.shown(option), "--template", "not a template of 2.x: 4.6 registers its own otherwise")


def add_template(job: Job) -> None:
    """Name the grounding template where the command trains on the plugin's boxes and names none."""
    model = old_model(job)
    if job.option("template_type", "template") or any(each.startswith("--template ") for each in job.extra):
        return
    if model and (name := wanted_template(job, model.template)) in GROUNDING:
        job.add("template", name, "writes boxes in the model's own text and space")
