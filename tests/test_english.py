"""Words that made the first build hard to read are refused in strings and docstrings, and in pages."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[1]
ROOMS = ("groundswift", "data_converters", "eval", "swift_plugins", "recipes", "benchmarks")
REFUSED = {  # word or phrase -> what to write
    r"told": "said, given, reported",
    r"stands?": "is, appears",
    r"lies": "is, is in",
    r"parted": "separated",
    r"mend(s|ed|ing)?": "patch, fix, repair",
    r"beside": "next to, besides, in addition",
    r"one looks at": "to read, to explore",
    r"is no": "is not a",
    r"what becomes? of": "what happens to",
    r"pictures?": "image",
    r"learnt": "trained on, has loss",
    r"left out|leaves? (it|them) out": "skipped, dropped",
    r"data sets?": "dataset",
    r"false alarms?": "false positive",
    r"envelope": "axis-aligned box",
}
PATTERN = re.compile(r"(?<![\w-])(" + "|".join(f"(?:{word})" for word in REFUSED) + r")(?![\w-])", re.IGNORECASE)
GIT = subprocess.run(["git", "ls-files", "-z", *ROOMS, "*.md"], cwd=TREE, capture_output=True, text=True, check=True)
LISTED = [name for name in GIT.stdout.split("\0") if (TREE / name).is_file()]


def texts_of(source: str) -> list[tuple[int, str]]:
    """(line, text) of every string in Python source, docstrings and the parts of f-strings among them, and of what is behind a `#`."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    comments = [(number, line.partition("#")[2]) for number, line in enumerate(source.splitlines(), 1) if "#" in line]
    return [(node.lineno, node.value) for node in nodes] + comments


def refused(texts: list[tuple[int, str]]) -> list[str]:
    """`line: word` of each refused word; names in backticks are quoted, not written."""
    return sorted(f"{line}: {found[0]}" for line, text in texts for found in PATTERN.finditer(re.sub("`[^`]*`", "``", text)))


@pytest.mark.parametrize("room", [*ROOMS, "pages"])
def test_strings_and_pages_hold_no_refused_word(room):
    found = {}
    for path in map(Path, LISTED):
        if (path.parts[0] == room and path.suffix == ".py") or (room == "pages" and path.suffix in (".md", ".tsv")):
            text = (TREE / path).read_text(encoding="utf-8")
            found[path.as_posix()] = refused(texts_of(text) if path.suffix == ".py" else list(enumerate(text.splitlines(), 1)))
    assert len(found) > 5
    assert {name: words for name, words in found.items() if words} == {}


def test_the_rule_sees_what_it_should():
    source = 'def f():\n    """What stands here."""\n    return f"{1} is no box", "a picture"  # mended, not `mended`\n'
    assert refused(texts_of(source)) == ["2: stands", "3: is no", "3: mended", "3: picture"]
    assert refused([(1, "a standing order, an amendment, picture_size, understand, 'is not'")]) == []
