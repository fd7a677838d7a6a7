"""Every `swift` command of every recipe is taken by ms-swift's own argument classes: no flag is unknown, no value of the wrong kind.

For recipes that only a GPU can run this is all that is checked; the others run to their end as well (test_every_recipe.py).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from functools import cache

import pytest
from conftest import BIN, ROOT, inventory

CLASSES = {  # subcommand of swift -> its argument class in swift.arguments
    "sft": "SftArguments",
    "pt": "PretrainArguments",
    "rlhf": "RLHFArguments",
    "infer": "InferArguments",
    "export": "ExportArguments",
    "deploy": "DeployArguments",
    "rollout": "RolloutArguments",
    "sample": "SamplingArguments",
    "eval": "EvalArguments",
    "app": "AppArguments",
}
HEADS = inventory.read_heads()


@cache
def commands(path: str) -> tuple[tuple[str, ...], ...]:
    """The words behind `swift` of each command that a dry run prints; a Python script takes those of `swift infer` behind `--`."""
    environment = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": os.environ["HOME"], "DRY_RUN": "1"}
    command = ["bash", str(ROOT / "recipes" / path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    lines = [shlex.split(line[2:]) for line in done.stdout.splitlines() if line.startswith("+ ")]
    found = [line[line.index("swift") + 1 :] for line in lines if "swift" in line]
    assert all(re.fullmatch(r"[A-Z_0-9]+=.*", word) for line in lines if "swift" in line for word in line[: line.index("swift")])
    found += [["infer", *line[line.index("--") + 1 :]] for line in lines if line[0] == "python" and "--" in line]
    return tuple(tuple(words) for words in found)


@cache
def parser(subcommand: str):
    import swift.arguments
    from transformers import HfArgumentParser

    return HfArgumentParser([getattr(swift.arguments, CLASSES[subcommand])])


@pytest.mark.parametrize("path", [head.path for head in HEADS])
def test_swift_takes_each_command(path):
    assert commands(path), "no swift command"
    for subcommand, *words in commands(path):
        _, unknown = parser(subcommand).parse_known_args(words)
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
    assert all(re.search(r"needs .*(GPU|Megatron|kernel)", reason) for reason in reasons), reasons
