"""The heads of the scripts and the two pages made from them agree with what is on disk."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from recipe_runner import inventory, parse_tiny

RECIPES = Path(inventory.RECIPES)
SCRIPTS = sorted(path.relative_to(RECIPES).as_posix() for path in RECIPES.glob("*/*.sh") if not path.name.startswith("_"))
PAGES = ("README.md", "README_CN.md")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_what_the_heads_say(page):
    assert (RECIPES / page).read_text(encoding="utf-8") == inventory.page(inventory.read_heads(), inventory.WORDS[page])


@pytest.mark.parametrize("page", PAGES)
def test_a_page_lists_each_script_once_and_no_other(page):
    text = (RECIPES / page).read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\(([^)]+\.sh)\) \|", text)) == SCRIPTS
    counts = [int(number) for number in re.findall(r"\d+", inventory.WORDS[page]["intro"].format(total=1, run=2, parsed=3))]
    assert counts  # the sentence has the three counts
    parsed = sum(bool(head.only_parsed) for head in inventory.read_heads())
    for number in (len(SCRIPTS), len(SCRIPTS) - parsed, parsed):
        assert str(number) in text


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_a_head_and_sources_the_mechanics(name):
    head = inventory.read_head(RECIPES / name)
    lines = (RECIPES / name).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    commands = [line for line in lines if line and not line.startswith("#") and not re.match(r"([A-Z_]+)=\$\{\1:-", line)]
    assert re.match(r'source "\$\(dirname "\$\{BASH_SOURCE\[0\]\}"\)/(\.\./)?_\w+\.sh"$', commands[0])
    assert any('"$@"' in line for line in commands), "further words go nowhere"
    assert any(re.match(r"(export )?[A-Z_]+=\$\{[A-Z_]+:-", line) for line in lines), "no VAR=..."
    assert all(len(line) <= 160 for line in lines if not line.startswith("# "))
    for key in ("Memory", "Score"):
        assert head.values[key] == "not measured" or re.search(r"20\d\d-\d\d-\d\d", head.values[key]), key
    if not head.only_parsed:
        parse_tiny(head.values["Tiny"])


def test_the_mechanics_are_strict():
    assert re.search(r"^set -euo pipefail$", (RECIPES / "_run.sh").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Task x\n", "expected Task, Model, Method"),
        ("# Task x\n# Task y\n", "'Task' in the head"),
        ("# Colour x\n", "'Colour' in the head"),
        ("# Model x\n# Task x\n# Method x\n# Hardware x\n# Memory x\n# Score x\n# Tiny x\n", "in this order"),
    ],
)
def test_a_wrong_head_is_named(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(inventory, "RECIPES", tmp_path)
    (tmp_path / "x.sh").write_text("#!/usr/bin/env bash\n" + text)
    with pytest.raises(ValueError, match=f"recipes/x.sh.*{message}"):
        inventory.read_head(tmp_path / "x.sh")


def test_a_page_that_is_behind_is_an_error(tmp_path):
    command = [sys.executable, str(RECIPES / "_inventory.py"), "--check"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    copy = tmp_path / "recipes"
    copy.mkdir()
    (copy / "_inventory.py").write_text((RECIPES / "_inventory.py").read_text(encoding="utf-8"))
    done = subprocess.run([sys.executable, str(copy / "_inventory.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "run: python recipes/_inventory.py" in done.stderr
