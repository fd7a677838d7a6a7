"""Every `swift` command of every recipe is taken by ms-swift's own argument classes: no flag is unknown, no value of the wrong kind.

For recipes that only a GPU can run this is all that is checked; the others run to their end as well (test_every_recipe.py).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from recipe_runner import BIN, ROOT, inventory

CLASSES = {"pt": "Pretrain", "rlhf": "RLHF", "sample": "Sampling"}  # argument classes that are not named as their subcommand of swift
HEADS = inventory.read_heads()


@cache
def commands(path: str) -> tuple[tuple[str, ...], ...]:
    """The words behind `swift` of each command that a dry run prints; a Python script takes those of `swift infer` behind `--`."""
    environment = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": os.environ["HOME"], "DRY_RUN": "1"}
    command = ["bash", str(ROOT / "recipes" / path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    lines = [shlex.split(line[2:]) for line in done.stdout.splitlines() if line.startswith("+ ")]
    return tuple(tuple(words) for words in map(words_of_swift, lines) if words)


def words_of_swift(line: list[str]) -> list[str]:
    """The words behind `swift` in a command, the subcommand first (`megatron sft` as one word); none for a command of another program."""
    for number, word in enumerate(line):
        if word in ("swift", "megatron"):
            assert all(re.fullmatch(r"[A-Z_0-9]+=.*", before) for before in line[:number])
            return line[number + 1 :] if word == "swift" else [f"megatron {line[number + 1]}", *line[number + 2 :]]
        if word.startswith("swift.cli."):  # a module that another launcher than torchrun starts
            return [word.removeprefix("swift.cli."), *line[number + 1 :]]
    words = line[line.index("--") + 1 :] if line[0] == "python" and "--" in line else []
    return ["infer", *words] if words and words[0].startswith("--") else []


@cache
def unknown_to_megatron() -> dict[str, list[str]]:
    """Path of each recipe with `megatron sft` -> the words that ms-swift's class of it does not know."""
    given = {head.path: words for head in HEADS for subcommand, *words in commands(head.path) if subcommand == "megatron sft"}
    parse = [sys.executable, str(Path(__file__).resolve().parents[1] / "helpers" / "megatron_parser.py")]
    lists = [*given.values(), ["--sft_type", "lora"]]
    done = subprocess.run(parse, input=json.dumps(lists), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    *unknown, wrong = json.loads(done.stdout.splitlines()[-1])
    assert wrong == lists[-1]  # it does find what is wrong
    return dict(zip(given, unknown, strict=True))


@cache
def parser(subcommand: str):
    import swift.arguments
    from transformers import HfArgumentParser

    return HfArgumentParser([getattr(swift.arguments, f"{CLASSES.get(subcommand, subcommand.title())}Arguments")])


@pytest.mark.parametrize("path", [head.path for head in HEADS])
def test_swift_takes_each_command(path):
    assert commands(path), "no swift command"
    for subcommand, *words in commands(path):
        unknown = unknown_to_megatron()[path] if subcommand == "megatron sft" else parser(subcommand).parse_known_args(words)[1]
        assert unknown == [], f"{path}: swift {subcommand} does not know {unknown}"


@pytest.mark.parametrize("words", [["--sft_type", "lora"], ["--quant_bits", "four"], ["--tuner_backend", "magic"]])
def test_a_wrong_word_is_found(words):
    try:
        _, unknown = parser("sft").parse_known_args(words)
    except SystemExit:
        return
    assert unknown


def test_what_is_only_parsed_says_why():
    reasons = [head.only_parsed for head in HEADS if head.only_parsed]
    assert all(re.search(r"needs .*(GPU|Megatron|kernel|llama\.cpp)", reason) for reason in reasons), reasons
