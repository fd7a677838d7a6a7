"""Every target of the fuzzer with some inputs of a fixed seed, without atheris; and what the fuzzer finds when there is something."""

from __future__ import annotations

import random

import pytest
from fuzz_commands import COMMANDS, TARGETS, CommandTarget

from groundswift.data_converters.registry import FORMATS

INPUTS = 200


def fed(name: str, inputs: int) -> CommandTarget:
    """A target after some inputs of a seed that is its name."""
    rng, target = random.Random(name), CommandTarget(name)
    try:
        for _ in range(inputs):
            target(rng.randbytes(rng.randrange(8, 60)))
    finally:
        target.close()
    return target


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_sources_that_are_nearly_right_end_in_a_message(name):
    target = fed(name, INPUTS)
    assert target.failures == {}
    assert 0 in target.codes or name == "lint", "no input was good enough to be used"  # lint has findings in the rows of this source
    assert 1 in target.codes, "no input was bad enough to be refused"


def test_every_format_and_every_command_is_a_target():
    assert {name.removeprefix("convert ") for name in TARGETS if name.startswith("convert ")} == set(FORMATS)
    assert {name.partition(" ")[0] for name in TARGETS} == set(COMMANDS)


def test_the_fuzzer_notices_a_command_that_fails(monkeypatch):
    def fail(*_arguments, **_named):
        raise ZeroDivisionError

    monkeypatch.setattr("groundswift.data_converters.cli.convert_to_file", fail)
    assert [kind.partition(" ")[0] for kind in fed("convert coco", 3).failures] == ["ZeroDivisionError"]


def test_the_fuzzer_notices_a_script_in_a_report(monkeypatch):
    monkeypatch.setattr("fuzz_commands.SCRIPT", "<title>")
    assert any("script" in kind or "AssertionError" in kind for kind in fed("report qwen2_vl", 20).failures)
