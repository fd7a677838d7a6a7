"""What became of each flag of 2.x: `rules.tsv`. A flag without a row there is today's as it was; a test compares with 4.6's own classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, NamedTuple

from groundswift.tsv_tables import table_rows

Kind = Literal["same", "renamed", "dropped", "todo", "special"]
MODULES = {"ALL": "all-linear", "DEFAULT": "all-linear", "AUTO": "all-linear", "EMBEDDING": "all-embedding"}


class Rule(NamedTuple):
    """`new`: the flag today, empty where there is none. `values`: 2.x value -> today's; an empty one means that the flag goes, as what it
    said is the default. `note`: why a flag goes, or what to do. `refused`: values that 4.6 has no counterpart for -> what to do."""

    kind: Kind
    new: str = ""
    note: str = ""
    values: Mapping[str, str] = {}
    refused: Mapping[str, str] = {}


def _read() -> dict[str, dict[str, Rule]]:
    """Command, or `all` -> flag -> rule. Of two rows for one flag and command the later counts."""
    commands = ("all", "sft", "pt", "rlhf", "infer", "deploy", "app-ui", "eval", "export", "web-ui")
    found: dict[str, dict[str, Rule]] = {command: {} for command in commands}
    for names, flag, kind, new, values, refused, note in table_rows(__package__, "rules.tsv", 7):
        rule = Rule(kind, new, note, json.loads(values or "{}"), json.loads(refused or "{}"))
        for command in names.split():
            found[command][flag] = rule
    return found


OF_COMMAND = _read()
EVERYWHERE = OF_COMMAND.pop("all")  # for every command but web-ui
NAMES_OF_3X: dict[str, dict[str, Rule]] = {  # what 4.6 lacks of 3.12.6
    command: {
        "train_type": Rule("renamed", "tuner_type"),
        "lora_modules": Rule("renamed", "adapters"),
        "ckpt_dir": OF_COMMAND["infer"]["ckpt_dir"],
        **more,
    }
    for commands, more in (
        (("sft", "pt", "rlhf"), {"metric": Rule("renamed", "eval_metric")}),
        (("infer", "deploy", "eval", "app-ui"), {"infer_backend": Rule("same", "infer_backend", values={"pt": "transformers"})}),
        (("export",), {"mcore_adapters": Rule("renamed", "mcore_adapter")}),
    )
    for command in commands
}


def rule_of(command: str, flag: str) -> Rule:
    """What became of a flag of a 2.x command."""
    return OF_COMMAND[command].get(flag) or (EVERYWHERE.get(flag) if command != "web-ui" else None) or Rule("same", flag)


class Variable(NamedTuple):
    """What became of an environment variable: the names that take its value today (none: it is read nowhere), and why."""

    new: tuple[str, ...]
    note: str


BOUNDS = ("FPS_MIN_FRAMES", "FPS_MAX_FRAMES")
OF_A_ROW = 'not read by 4.6: give rows "chat_template_kwargs": {"resized_height": ..., "resized_width": ...}'
VARIABLES = {
    "SIZE_FACTOR": Variable((), "not read by 4.6: the factor belongs to the model"),
    "NFRAMES": Variable(BOUNDS, "not read by Qwen-VL templates in 4.6: equal bounds give the same number of frames"),
    "MIN_FRAMES": Variable(BOUNDS[:1], "renamed"),
    "MAX_FRAMES": Variable(BOUNDS[1:], "renamed"),
    "TOTAL_PIXELS": Variable(("VIDEO_TOTAL_PIXELS",), "renamed"),
    "RESIZED_HEIGHT": Variable((), OF_A_ROW),
    "RESIZED_WIDTH": Variable((), OF_A_ROW),
    "DATASET_ENABLE_CACHE": Variable((), "not read by 4.6: use --load_from_cache_file true"),
}
VIDEO_VARIABLES = {"NFRAMES", "FPS", "MIN_FRAMES", "MAX_FRAMES", *BOUNDS, "TOTAL_PIXELS"}
OF_VIDEO = {"MAX_PIXELS": "VIDEO_MAX_PIXELS", "MIN_PIXELS": "VIDEO_MIN_PIXELS"}  # 2.x took the first for videos too
