"""`groundswift plugin --check`: what swift would run when it loads a checkpoint, and any args.json without a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from converted import run

from groundswift.swift_plugins.grounding.plugin_shim import REGISTER, TEXT


@pytest.fixture
def checkpoint(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "foreign.py").write_text("print('runs')\n")
    (tmp_path / "shim.py").write_text(TEXT)
    return tmp_path / "checkpoint"


def check(checkpoint: Path) -> tuple[int, str, str]:
    done = run("plugin", "--check", checkpoint)
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("saved", [[str(REGISTER)], ["shim.py"], str(REGISTER), [], None, "missing key"], ids=str)
def test_its_own_plugins_pass_without_a_word(checkpoint, saved):
    settings = {} if saved == "missing key" else {"external_plugins": saved}
    (checkpoint / "args.json").write_text(json.dumps(settings))
    assert check(checkpoint) == (0, f"{REGISTER}\n", "")


@pytest.mark.parametrize("saved", [["foreign.py"], "foreign.py", [str(REGISTER), "./foreign.py"]], ids=str)
def test_what_else_swift_would_run_is_named(checkpoint, saved):
    (checkpoint / "args.json").write_text(json.dumps({"external_plugins": saved}))
    status, out, err = check(checkpoint)
    assert (status, out) == (0, f"{REGISTER}\n")
    assert err.count("warning: ") == 1
    assert f"swift will run {str(checkpoint.parent / 'foreign.py')!r}, which is not groundswift's plugin" in err


@pytest.mark.parametrize("saved", [["gone.py"], "gone.py", ["foreign.py", "a/gone.py"], ["checkpoint"]], ids=str)
def test_a_plugin_that_is_gone_is_an_error(checkpoint, saved):
    (checkpoint / "args.json").write_text(json.dumps({"external_plugins": saved}))
    status, _, err = check(checkpoint)
    assert status == 1
    assert "was not found" in err
    assert f"--external_plugins {REGISTER}" in err


@pytest.mark.parametrize(
    "held",
    [
        *(json.dumps(value).encode() for value in ([], "text", 3, None, [["external_plugins", "x"]])),
        *(json.dumps({"external_plugins": value}).encode() for value in ({"a": 1}, 3, [3], [None], [["x"]], ["a\0b"], True)),
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"external_plugins": ' + b"9" * 6000 + b"}",
    ],
    ids=lambda held: repr(held[:40]),
)
def test_any_other_file_is_one_plain_error(checkpoint, held):
    (checkpoint / "args.json").write_bytes(held)
    status, out, err = check(checkpoint)
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "the args.json of a swift checkpoint" in err


@pytest.mark.timeout(30)
def test_a_pipe_is_not_waited_for(checkpoint):
    os.mkfifo(checkpoint / "args.json")
    assert "is not a regular file" in check(checkpoint)[2]


def test_a_checkpoint_that_is_not_there(checkpoint):
    assert check(checkpoint / "none")[0] == 1


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "\x9b2J", "\r\x1b]0;title\x07", "\u202eabc"])
def test_no_control_character_reaches_the_terminal(checkpoint, text):
    name = f"{text}.py"
    (checkpoint / "args.json").write_text(json.dumps({"external_plugins": [name]}))
    gone = check(checkpoint)[2]
    Path(name).write_text("x = 1\n")
    foreign = check(checkpoint)[2]
    (checkpoint / "args.json").write_text(json.dumps({"external_plugins": {name: 1}}))
    assert not [char for message in (gone, foreign, check(checkpoint)[2]) for char in message if not char.isprintable() and char != "\n"]
