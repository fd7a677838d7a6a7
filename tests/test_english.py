"""Words that made the first build hard to read are refused in strings and docstrings, and in pages."""

from __future__ import annotations

import ast
import re
import subprocess
import tokenize
from io import StringIO
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
LISTED = subprocess.run(["git", "ls-files", "-z", *ROOMS, "*.md"], cwd=TREE, capture_output=True, text=True, check=True).stdout.split("\0")
PYTHON = [name for name in LISTED if name.endswith(".py") and (TREE / name).is_file()]
PAGES = [name for name in LISTED if name.endswith((".md", ".tsv")) and (TREE / name).is_file()]


def texts_of(source: str) -> list[tuple[int, str]]:
    """(line, text) of every string in Python source, docstrings and the parts of f-strings among them, and of every comment."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return [(node.lineno, node.value) for node in nodes] + [
        (token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT
    ]


def refused(texts: list[tuple[int, str]]) -> list[str]:
    """`line: word` of each refused word; names in backticks are quoted, not written."""
    return sorted(f"{line}: {found[0]}" for line, text in texts for found in PATTERN.finditer(re.sub("`[^`]*`", "``", text)))


@pytest.mark.parametrize("name", PYTHON)
def test_strings_hold_no_refused_word(name):
    assert refused(texts_of((TREE / name).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_hold_no_refused_word(name):
    assert refused(list(enumerate((TREE / name).read_text(encoding="utf-8").splitlines(), 1))) == []


def test_the_rule_sees_what_it_should():
    source = 'def f():\n    """What stands here."""\n    return f"{1} is no box", "a picture"  # mended, not `mended`\n'
    assert refused(texts_of(source)) == ["2: stands", "3: is no", "3: mended", "3: picture"]
    assert refused([(1, "a standing order, an amendment, picture_size, understand, 'is not'")]) == []
