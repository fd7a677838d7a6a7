"""The datasets of a command: names of 2.x become ids, sample sizes become `#N`, row files in 2.x form are reported."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from .commands import Option
from .job import Job
from .models import value_of
from .shell import Word, quoted
from .tables import datasets

OF_PLUGIN = {f"{name}-unofficial-{task}" for name in ("refcoco", "refcocog") for task in ("grounding", "caption")}
OF_VIDEO = {"video-chatgpt", "egoschema", "llava-video-178k", "moviechat-1k-test"}
SYNTAX = re.compile(r"(?P<hub>(?:hf|ms|HF|MS)::)?(?P<name>[^:#]+)(?::(?P<subsets>[^#]*))?(?:#(?P<sample>-?\d+))?")
ROW_FILES = (".jsonl", ".json", ".csv")
LOOK = 50  # rows of a file that are looked at
OLD_KEYS = {"query", "response", "history"}


def todays(name: str, plugin: bool) -> str:
    """4.6's `--dataset` for one of 2.x: `coco-en-mini#500` -> `modelscope/coco_2014_caption:validation#500`. Others are unchanged."""
    match = SYNTAX.fullmatch(name)
    if not match or match["name"] not in datasets() or (plugin and match["name"] in OF_PLUGIN and not match["hub"]):
        return name
    base, _, sample = datasets()[match["name"]].partition("#")
    place, marks, rest = base.rpartition("::")
    known, _, subsets = rest.partition(":")
    hub = (match["hub"] or "").lower() or place + marks
    subsets = match["subsets"] or subsets
    sample = match["sample"] or sample
    return hub + known + (":" + subsets if subsets else "") + ("#" + sample if sample and sample != "-1" else "")


def names_of(job: Job, *flags: str) -> list[str]:
    """The dataset names of these flags, without sample sizes."""
    words = [word for option in job.options if option.name in flags for word in option.values]
    names = [each for word in words for each in (job.known(word) or "").split(",")]
    return [each.partition("#")[0].rpartition("::")[2].partition(":")[0] for each in names]


def migrate_datasets(job: Job, kind: str) -> None:
    """`--dataset` or `--val_dataset` (`kind`) and the flags that join it."""
    custom = "custom_train_dataset_path" if kind == "dataset" else "custom_val_dataset_path"
    target = job.option(kind)
    for word in (word for option in job.options if option.name in (kind, custom) for word in option.values):
        _migrate_name(job, word)
    more = [option for option in job.options if option.name == custom]
    if target is None and more:
        target = more.pop(0)
        job.say("changed", target, f"--{kind}")
        job.rename(target, kind)
    for option in more:
        _join(job, option, target, kind)
    _sample(job, "train_dataset_sample" if kind == "dataset" else "val_dataset_sample", target, kind)
    if kind == "dataset":
        _self_cognition(job, target)


def _migrate_name(job: Job, word: Word) -> None:
    value = word.value
    if value is None:
        literals = [each for _, each in job.variables.literals(word)]
        if any(todays(each, job.settings.plugin) != each for each in literals):
            job.report("changed", word.start, word.raw, " ".join(todays(each, job.settings.plugin) for each in literals))
            value_of(job, word, lambda each: todays(each, job.settings.plugin), "a dataset id")
        for each in literals:
            _check_rows(job, word, each)
        return
    parts = value.split(",") if "," in value and not os.path.exists(job.settings.folder / value) else [value]
    new = [todays(part.strip(), job.settings.plugin) for part in parts]
    if new != [value]:
        job.report("changed", word.start, word.raw, " ".join(new))
        job.edit(word.start, word.end, " ".join(job.fitting(quoted(each, word.raw)) for each in new))
    for part in parts:
        _check_rows(job, word, part)


def _join(job: Job, option: Option, target: Option, kind: str) -> None:
    """Move the values of one option behind those of another."""
    job.say("changed", option, f"--{kind}", "joins the others")
    job.remove(option)
    for word in option.values:
        new = quoted(todays(word.value, job.settings.plugin), word.raw) if word.value is not None else word.raw
        job.edit(target.end, target.end, " " + new)


def _sample(job: Job, flag: str, target: Option | None, kind: str) -> None:
    option = job.option(flag)
    if option is None or (kind == "val_dataset" and job.found.command not in ("sft", "pt", "rlhf")):
        return
    value = job.literal(flag)
    job.remove(option)
    if value == "-1":
        job.say("dropped", option, note="all rows are the default")
    elif target is not None and len(target.values) == 1 and option.values and "#" not in target.values[0].raw:
        written = option.values[0].raw if value is None else value
        job.say("changed", option, f"#{written} after --{kind}")
        job.edit(target.end, target.end, f"#{written}")
    else:
        note = f"write #N after each --{kind}" if target is not None else f"write #N after a --{kind}: the command has none"
        job.say("todo", option, note=note)


def _self_cognition(job: Job, target: Option | None) -> None:
    option = job.option("self_cognition_sample")
    if option is None or not option.values:
        return
    value = job.literal("self_cognition_sample")
    if value == "0":
        job.drop(option, "0 is the default")
        return
    name = f"swift/self-cognition:default#{value or option.values[0].raw}"
    job.say("changed", option, name)
    if target is None:
        job.add("dataset", name, "was --self_cognition_sample")
    else:
        job.edit(target.end, target.end, " " + name)
    job.remove(option)


def add_plugin(job: Job) -> None:
    """Add groundswift's plugin if a dataset is one of its own. Sets `job.grounding` if its boxes are trained on."""
    names = names_of(job, "dataset", "val_dataset")
    job.grounding = job.settings.plugin and any(name in OF_PLUGIN and name.endswith("grounding") for name in names)
    if not (job.settings.plugin and OF_PLUGIN & set(names)):
        return
    plugin = "$(groundswift plugin)" if job.quote == '"' else '"$(groundswift plugin)"'
    given = job.option("custom_register_path", "external_plugins")
    if given is not None and given.values:
        job.edit(given.end, given.end, " " + plugin)
        job.say("added", given, plugin, "groundswift's plugin knows this dataset by name")
    else:
        job.add("custom_register_path", plugin, "groundswift's plugin knows this dataset by name", raw=True)


def _check_rows(job: Job, word: Word, name: str) -> None:
    """Report a local file whose rows 4.6 would drop; with a folder for converted rows, use the converted file instead."""
    place, marks, sample = name.partition("#") if not os.path.isfile(job.settings.folder / name) else (name, "", "")
    path = job.settings.folder / place
    if not place.endswith(ROW_FILES) or not os.path.isfile(path) or not has_old_rows(path):
        return
    if job.settings.rows is None:
        places = f"{quoted(str(path))} --images {quoted(str(job.settings.folder))} --out {quoted(path.stem + '.swift4.jsonl')}"
        command = f"groundswift convert swift2 {places}"
        job.report("todo", word.start, word.raw, note=f"its rows are in 2.x form, whose objects 4.6 drops: {command}")
        return
    target = job.settings.rows / f"{path.stem}.jsonl"
    new = (str(target) if target.is_absolute() else os.path.relpath(target, job.settings.folder)) + marks + sample
    if value_of(job, word, lambda value: new if value == name else value, "a file of rows"):
        job.row_files.append((path, target))
        job.report("changed", word.start, word.raw, new, "rows converted by `groundswift convert swift2`")


def has_old_rows(path: Path) -> bool:
    """Whether the first rows of a file are in the form of 2.x that 4.6 misreads: with `objects` as text or as a list. Rows of only query,
    response and images are still read."""
    rows = [row for row in _first_rows(path) if isinstance(row, dict) and "messages" not in row and OLD_KEYS & row.keys()]
    return any(isinstance(row.get("objects"), str | list) and row["objects"] for row in rows)


def _first_rows(path: Path) -> list[object]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            if path.suffix == ".json":
                rows = json.load(lines)
                return rows[:LOOK] if isinstance(rows, list) else []
            return [json.loads(line) for line, _ in zip(lines, range(LOOK), strict=False) if line.strip().startswith("{")]
    except (OSError, ValueError):
        return []
