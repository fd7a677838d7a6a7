"""What is printed cannot drive a terminal: control characters, marks that reorder a line, and half characters are spelled out."""

import json

import click
import pytest
from click.testing import CliRunner

from groundswift.cli import main
from groundswift.errors import GroundswiftError, Tally, error_at
from groundswift.terminal import echo, echo_json, one_line, printable

HOSTILE = {
    "colour": ("\x1b[31mred", r"\x1b[31mred"),
    "title": ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
    "8-bit control": ("\x9b2J", r"\x9b2J"),
    "carriage return": ("safe\rforged", r"safe\rforged"),
    "backspaces": ("a\x08b\x7f", r"a\x08b\x7f"),
    "right to left": ("a\u202egpj.exe", r"a\u202egpj.exe"),
    "isolate": ("\u2066x\u2069", r"\u2066x\u2069"),
    "line separator": ("a\u2028b", r"a\u2028b"),
    "lone surrogate": ("a\udc80b", r"a\udc80b"),
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_what_drives_a_terminal_is_spelled_out(text, shown):
    assert printable(text) == one_line(text) == shown
    tally = Tally()
    tally.add("image missing", text)
    assert tally.examples == {"image missing": [shown]}
    assert str(error_at(text, text, text)) == f"{shown}: {shown}; expected {shown}"
    assert str(GroundswiftError(text)) == shown


@pytest.mark.parametrize("text", ["狗, naïve, 👩‍👧, עברית", "", "a b\\n"])
def test_text_of_any_language_stays(text):
    assert printable(text) == one_line(text) == text


def test_only_a_text_of_several_lines_keeps_its_line_breaks():
    assert printable("a\n\tb\r\n") == "a\n\tb\\r\n"
    assert one_line("a\n\tb") == r"a\n\tb"
    assert str(error_at("a\nerror: forged", "b")) == r"a\nerror: forged: b"


def test_json_stays_the_same_document():
    @click.command()
    def said():
        echo_json(json.dumps({"a": "\x9b\x7f\u202e狗\x1b"}, ensure_ascii=False))
        echo("\x1b[1m", err=True)

    result = CliRunner().invoke(said)
    assert result.stdout == '{"a": "\\u009b\\u007f\\u202e狗\\u001b"}\n'
    assert json.loads(result.stdout) == {"a": "\x9b\x7f\u202e狗\x1b"}
    assert result.stderr == "\\x1b[1m\n"


@pytest.mark.parametrize(
    "words", [("\x1b[31mwalk",), ("convert", "\x1b[31mwalk"), ("lint", "--\x1b[31mwalk"), ("mix", "\x1b[31m", "--total", "\x1b")]
)
def test_wrong_usage_cannot_drive_a_terminal_either(words):
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, "\x1b" in result.stderr, "\\x1b" in result.stderr) == (2, False, True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["lint"], []),
        (["mix"], ["--out", "b"]),
        (["split"], ["--parts", "a=0.5", "b=0.5", "--out", "b"]),
        (["convert", "swift2"], ["--dry-run"]),
        (["convert", "llava"], ["--dry-run"]),
        (["convert", "to-coco"], ["--dry-run"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_no_command_passes_on_the_name_of_a_file(before, after, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "\x1b[31m\nerror: forged").mkdir()
    (tmp_path / "\x1b[31m\nerror: forged" / "a.jsonl").write_text("nothing\n")
    result = CliRunner().invoke(main, [*before, "\x1b[31m\nerror: forged/a.jsonl", *after])
    assert (result.exit_code, "\x1b" in result.output, "\nerror: forged" in result.output) == (1, False, False)
    assert "a.jsonl" in result.output
