"""`groundswift migrate`: files in, files out, and what is printed."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from groundswift.cli import main

OLD = "#!/bin/bash\n# größer\nswift sft --sft_type lora --dtype AUTO\n"
NEW = "#!/bin/bash\n# größer\nswift sft --tuner_type lora\n"


def run(*words: str | Path, stdin: bytes | None = None) -> Result:
    """The command, without 2.x's defaults."""
    return CliRunner().invoke(main, ["migrate", "--no-keep-defaults", *map(str, words)], input=stdin)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An executable script of 2.x, in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "train.sh"
    path.write_text(OLD)
    path.chmod(0o755)
    return path


def test_one_script_goes_to_stdout_and_the_report_to_stderr(script):
    done = run(script)
    assert (done.exit_code, done.stdout) == (0, NEW)
    assert "1 of 1 swift command migrated" in done.stderr
    assert f"{script}:3: --sft_type lora -> --tuner_type lora" in done.stderr
    assert script.read_text() == OLD
    done = run("-", stdin=OLD.encode())
    assert (done.exit_code, done.stdout) == (0, NEW)


def test_in_place_keeps_a_backup_and_the_mode(script):
    assert run(script, "--in-place").exit_code == 0
    backup = script.with_name("train.sh.swift2.bak")
    assert (script.read_text(), backup.read_text()) == (NEW, OLD)
    assert stat.S_IMODE(script.stat().st_mode) == stat.S_IMODE(backup.stat().st_mode) == 0o755
    again = run(script, "--in-place")
    assert (again.exit_code, script.read_text(), backup.read_text()) == (0, NEW, OLD)
    script.write_text(OLD)
    done = run(script, "--in-place")
    assert (done.exit_code, "earlier --in-place" in done.stderr) == (1, True)
    assert (script.read_text(), backup.read_text()) == (OLD, OLD)


@pytest.mark.parametrize(("out", "place"), [("new.sh", "new.sh"), ("made/", "made/train.sh")])
def test_out_is_a_file_or_a_folder(script, tmp_path, out, place):
    assert run(script, "--out", out).exit_code == 0
    place = tmp_path / place
    assert place.read_text() == NEW
    assert stat.S_IMODE(place.stat().st_mode) == 0o755


def test_several_scripts_want_a_place(script, tmp_path):
    other = tmp_path / "infer.sh"
    other.write_text("swift infer --ckpt_dir a\n")
    assert run(script, other, "--out", "made").exit_code == 0
    assert (tmp_path / "made" / "infer.sh").read_text() == "swift infer --adapters a\n"
    assert (tmp_path / "made" / "train.sh").read_text() == NEW


def test_check_says_by_its_status_whether_something_would_change(script, tmp_path):
    assert run(script, "--check").exit_code == 1
    assert script.read_text() == OLD
    (tmp_path / "new.sh").write_text(NEW)
    assert run("new.sh", "--check").exit_code == 0


@pytest.mark.process
def test_diff_is_one_that_patch_takes(script, tmp_path):
    import subprocess

    done = run("train.sh", "--diff")
    assert done.exit_code == 0
    assert "-swift sft --sft_type lora --dtype AUTO\n+swift sft --tuner_type lora\n" in done.stdout
    subprocess.run(
        ["git", "apply", "--unsafe-paths", "--directory", str(tmp_path), "-p0", "-"],
        input=done.stdout.replace("train.sh (ms-swift 4.6)", "train.sh"),
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert script.read_text() == NEW


def test_json_has_every_finding(script):
    found = json.loads(run(script, "--json").stdout)
    (file,) = found["files"]
    assert (file["commands"], file["migrated"], file["changed"], found["todo"]) == (1, 1, True, 0)
    assert [(each["line"], each["level"], each["old"]) for each in file["findings"]] == [
        (3, "changed", "--sft_type lora"),
        (3, "dropped", "--dtype AUTO"),
    ]


def test_bytes_that_are_no_text_stay(script):
    data = b"# caf\xe9 \xff\r\nswift sft --sft_type lora\r\n"
    script.write_bytes(data)
    assert run(script, "--out", "new.sh").exit_code == 0
    assert Path("new.sh").read_bytes() == data.replace(b"--sft_type", b"--tuner_type")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no.sh"], "no.sh: cannot be read"),
        (["binary"], "binary: not a shell script"),
        (["."], "cannot be read"),
        (["train.sh", "--in-place", "--out", "x"], "not both"),
        (["train.sh", "--out", "."], "is the script itself"),
        (["train.sh", "train.sh"], "Several scripts"),
        (["-", "--in-place"], "stdin cannot be changed"),
    ],
)
def test_wrong_use_is_said_in_one_line(script, words, said):
    Path("binary").write_bytes(b"\x7fELF\0")
    done = run(*words)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert script.read_text() == OLD


def test_no_swift_command(script):
    script.write_text("echo hello\n")
    done = run(script)
    assert (done.exit_code, done.stdout) == (0, "echo hello\n")
    assert "no swift command found" in done.stderr


@pytest.fixture
def rows(script: Path) -> str:
    """A script that names rows in 2.x form, and the rows."""
    from PIL import Image

    Image.new("RGB", (100, 80)).save("a.png")
    objects = json.dumps([{"caption": "guy", "bbox": [1, 2, 30, 40], "bbox_type": "real", "image": 0}])
    Path("old.jsonl").write_text(
        json.dumps({"query": "Find <ref-object>", "response": "<bbox>", "images": ["a.png"], "objects": objects}) + "\n"
    )
    Path("plain.jsonl").write_text(json.dumps({"query": "a", "response": "b"}) + "\n")
    script.write_text("swift sft --dataset old.jsonl#5 plain.jsonl --sft_type lora\n")
    return "old.jsonl"


def test_rows_in_2x_form_are_pointed_out_with_the_command(rows, script):
    done = run(script, "--json")
    (todo,) = [each for each in json.loads(done.stdout)["files"][0]["findings"] if each["level"] == "todo"]
    assert todo["old"] == "old.jsonl#5"
    command = todo["note"].partition("groundswift ")[2].split()
    assert CliRunner().invoke(main, command).exit_code == 0


def test_rows_are_converted_where_a_folder_is_given(rows, script):
    done = run(script, "--rows", "made")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "swift sft --dataset made/old.jsonl#5 plain.jsonl --tuner_type lora\n"
    (row,) = map(json.loads, Path("made/old.jsonl").read_text().splitlines())
    assert row["objects"]["bbox"] == [[1, 2, 30, 40]]
    again = run(script, "--rows", "made")
    assert again.exit_code == 1
    assert "exists" in again.stderr


def test_rows_that_cannot_be_converted_stop_it_before_a_script_is_written(rows, script):
    Path("a.png").unlink()
    done = run(script, "--rows", "made", "--in-place")
    assert done.exit_code == 1
    assert "a.png" in done.stderr
    assert script.read_text().startswith("swift sft --dataset old.jsonl")
    assert not Path("train.sh.swift2.bak").exists()


@pytest.mark.parametrize("how", ["--check", "--diff", "--json"])
def test_a_preview_converts_nothing(rows, script, how):
    assert run(script, "--rows", "made", how).exit_code == (how == "--check")
    assert not Path("made").exists()


def test_rows_and_images_start_at_the_folder(rows, script, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = run(script, "--rows", "made", "--folder", "..")
    assert done.exit_code == 0, done.stderr
    assert Path("made/old.jsonl").is_file()
    assert "--dataset elsewhere/made/old.jsonl#5 plain.jsonl" in done.stdout


def test_the_example_in_the_help_works(script):
    Path("infer.sh").write_text("swift infer --ckpt_dir a\n")
    shown = CliRunner().invoke(main, ["migrate", "--help"]).output
    examples = [line.split()[2:] for line in shown.splitlines() if line.strip().startswith("groundswift migrate ")]
    assert len(examples) == 2
    assert [CliRunner().invoke(main, ["migrate", *words]).exit_code for words in examples] == [0, 0]
