"""One command of 2.x (or 3.x) -> the edits that make it one of 4.6."""

from __future__ import annotations

from .commands import NEW_ROUTES, TODAYS, Option
from .data import add_plugin, migrate_datasets, names_of
from .defaults import add_defaults, tuner
from .job import Job
from .models import add_template, migrate_model, migrate_template, value_of
from .rules import MODULES, NAMES_OF_3X, Rule, rule_of
from .shell import Word, quoted
from .specials import SPECIALS
from .tables import datasets, flags_of, models

MODEL_FLAGS = {
    "model": {"model_type", "model_id_or_path", "model_cache_dir"},
    "ref_model": {"ref_model_type", "ref_model_id_or_path"},
    "reward_model": {"reward_model_type", "reward_model_id_or_path"},
}
DATA_FLAGS = {
    *("dataset", "val_dataset", "custom_train_dataset_path", "custom_val_dataset_path"),
    *("train_dataset_sample", "self_cognition_sample"),
}


def migrate_command(job: Job) -> str | None:
    """Fill the job's edits and findings. Returns the version it was written for: `2` or `3`, None if nothing had to change."""
    if is_of_2x(job):
        _migrate_2x(job)
        return "2"
    names = NAMES_OF_3X.get(job.found.command, {})
    for option in job.options:
        if option.name in names:
            _apply(job, option, names[option.name])
    return "3" if job.edits else None


def is_of_2x(job: Job) -> bool:
    """Whether a command has something that only 2.x knew, and nothing that only later versions know."""
    if any(option.name in TODAYS for option in job.options):
        return False
    if job.found.route in NEW_ROUTES or job.found.how == "old script":
        return True
    return any(_only_2x(job, option) for option in job.options)


def _only_2x(job: Job, option: Option) -> bool:
    if option.name not in flags_of(job.found.command):
        return False
    rule = rule_of(job.found.command, option.name)
    if rule.kind in ("renamed", "dropped", "todo") or (rule.kind == "special" and option.name not in rule.new.split()):
        return True
    values = {each for word in option.values for each in job.all_known(word)}
    if option.name == "model_type" and not job.more:
        return True  # 4.6 takes it with --model or --adapters only
    if option.name in ("model_type", "ref_model_type", "reward_model_type"):
        return bool(values & models().keys())
    if option.name in ("dataset", "val_dataset"):
        return bool(set(names_of(job, option.name)) & datasets().keys())
    if option.name == "target_modules":
        return bool(values & MODULES.keys())
    return bool(values & (rule.values.keys() | rule.refused.keys()))


def _migrate_2x(job: Job) -> None:
    _route(job)
    add_plugin(job)
    for kind, flags in MODEL_FLAGS.items():
        if any(option.name in flags for option in job.options):
            migrate_model(job, kind)
    for kind in ("dataset", "val_dataset"):
        migrate_datasets(job, kind)
    training = job.found.command in ("sft", "pt", "rlhf")
    done = set().union(*MODEL_FLAGS.values()) | DATA_FLAGS | ({"val_dataset_sample"} if training else set())
    for option in job.options:
        if option.name not in done and option.name not in job.gone:
            _migrate_option(job, option)
    if job.grounding:
        add_template(job)
    if job.settings.keep_defaults:
        add_defaults(job)
    if training:
        job.trained = tuner(job)


def _route(job: Job) -> None:
    found = job.found
    new = NEW_ROUTES.get(found.route)
    old = found.route_word.raw
    if found.how == "old script":
        written = f"-m swift.cli.{(new or found.route).replace('-', '_')}"
        job.report("changed", found.route_word.start, old, written, "this script is a subcommand of swift in 4.6")
        job.edit(found.route_word.start, found.route_word.end, written)
        for word in found.prefix:
            if word.raw.startswith("PYTHONPATH="):
                job.report("todo", word.start, word.raw, note="remove it if it is a checkout of 2.x, which Python would load first")
    elif new:
        written = quoted(new, old) if found.how == "swift" else old.replace(found.route.replace("-", "_"), new)
        job.report("changed", found.route_word.start, old, written)
        job.edit(found.route_word.start, found.route_word.end, written)
    if found.route in ("dpo", "orpo", "simpo") and not job.option("rlhf_type"):
        job.add("rlhf_type", found.route, f"was swift {found.route}")


def _migrate_option(job: Job, option: Option) -> None:
    rule = rule_of(job.found.command, option.name)
    if option.name == "template_type":
        migrate_template(job, option)
    elif option.name == "warmup_ratio" and (job.literal("warmup_steps") or "0") != "0":
        job.drop(option, "--warmup_steps counted; 4.6 refuses both")
    elif rule.kind == "special" or option.name in flags_of(job.found.command):
        _apply(job, option, rule)
    elif option.name not in TODAYS:
        job.say("todo", option, note="not a flag of 2.6.1, kept: check `swift --help`")


def _apply(job: Job, option: Option, rule: Rule) -> None:
    if rule.kind == "special":
        return SPECIALS[option.name](job, option)
    values = [job.known(word) for word in option.values]
    refused = next((rule.refused[value] for value in values if value in rule.refused), None)
    default = len(values) == 1 and rule.values.get(values[0] or "", None) == "" and option.values[0].value is not None
    if default or rule.kind == "dropped":
        job.drop(option, rule.note if rule.kind == "dropped" else "already the default of 4.6")
    elif refused or rule.kind == "todo":
        job.todo(option, refused or rule.note)
    else:
        _renamed(job, option, rule, values)


def _renamed(job: Job, option: Option, rule: Rule, values: list[str | None]) -> None:
    written = [rule.values.get(value, value) if value is not None else word.raw for value, word in zip(values, option.values, strict=True)]
    bare = not option.values and rule.new == "stream"
    if rule.kind == "renamed" or option.negated or bare or any(value in rule.values for value in values):
        shown = " ".join([f"--{rule.new}", *map(str, written)]) + (" false" if option.negated else " true" if bare else "")
        job.say("changed", option, shown)
    job.rename(option, rule.new)
    for word in option.values:
        if rule.values:
            _mapped(job, word, rule)
    if rule.note and rule.kind == "same":
        job.say("todo", option, note=rule.note)


def _mapped(job: Job, word: Word, rule: Rule) -> None:
    """Change a value by the rule; a variable without any of the rule's values is silently kept."""
    literals = [value for _, value in job.variables.literals(word)]
    if word.value is None and not literals:
        expected = " or ".join(sorted({value for value in rule.values.values() if value}))
        job.report("todo", word.start, word.raw, note=f"its value is not in the script: 4.6 accepts {expected}")
    elif word.value is not None or any(value in rule.values for value in literals):
        value_of(job, word, lambda value: rule.values.get(value, value), "a value of 4.6")
