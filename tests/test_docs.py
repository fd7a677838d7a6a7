"""The pages agree with the code: generated tables, links, commands and options that they show, and the two languages with each other."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from groundswift.cli import main

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import _tables  # noqa: E402
import _words  # noqa: E402

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("recipes/*.md"), *ROOT.glob("findings/*.md")])
TEXT = {path: path.read_text(encoding="utf-8") for path in PAGES}
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]
TWINS = [(ROOT / name, path) for name in NAMES if (path := ROOT / name.replace(".md", "_CN.md")).exists()]
OF_WHAT_EXISTS = [
    path for path in PAGES if not path.name.startswith("extending")
]  # that one adds commands and files, and `test_extending` runs them
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def shell_words(text: str) -> Iterator[list[str]]:
    """The words of every command in the shell blocks of a page, continued lines joined."""
    for language, block in FENCE.findall(text):
        if language in ("shell", "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                yield shlex.split(line, comments=True)


def test_generated_tables_are_those_of_the_code():
    assert [path.relative_to(ROOT).as_posix() for path in _tables.stale()] == [], "run: make docs"


def test_a_stale_table_is_found(monkeypatch):
    monkeypatch.setitem(_tables.TABLES, "versions", lambda say: "| another |")
    assert [path.name for path in _tables.stale()] == ["versions.md", "versions_CN.md"]


def test_every_table_is_shown_in_both_languages():
    shown = {chinese: set() for chinese in (False, True)}
    for path, text in TEXT.items():
        shown[path.stem.endswith("_CN")].update(mark[2] for mark in _tables.MARKED.finditer(text))
    assert shown == {False: set(_tables.TABLES), True: set(_tables.TABLES)}


def test_every_chinese_text_has_its_place():
    """A key that no table asks for is a leftover; a text without a key stays English."""
    asked = set()

    class Asking(_words.Words):
        def __call__(self, key, english):
            asked.add(key)
            return english

    for name, table in _tables.TABLES.items():
        if name not in ("migration", "problems"):
            table(Asking(True))
    assert sorted(_words.CHINESE.keys() - asked) == []


@pytest.mark.parametrize(("english", "chinese"), TWINS, ids=lambda path: path.name)
def test_the_chinese_page_has_the_structure_of_the_english_one(english, chinese):
    def structure(path):
        text = TEXT[path]
        return {
            "headings": re.findall(r"^(#+) ", prose(text), re.MULTILINE),
            "tables": re.findall(r"<!-- table ([a-z-]+): start -->", text),
            "blocks": [language for language, _ in FENCE.findall(text)],
        }

    assert structure(english) == structure(chinese)
    for page, other in ((english, chinese), (chinese, english)):
        assert f"]({other.name})" in TEXT[page]


@pytest.mark.parametrize("page", [path for path in PAGES if path.parent == ROOT / "docs"], ids=lambda path: path.name)
def test_every_page_of_docs_has_its_twin_and_is_linked_from_the_readme(page):
    chinese = page.stem.endswith("_CN")
    twin = page.with_name(page.name.replace("_CN", "") if chinese else f"{page.stem}_CN.md")
    assert twin in TEXT
    assert f"(docs/{page.name})" in TEXT[ROOT / ("README_CN.md" if chinese else "README.md")]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    broken = []
    for target in LINK.findall(prose(TEXT[page])):
        path, _, anchor = unquote(target).partition("#")
        where = page if not path else (page.parent / path).resolve()
        if "://" in target:
            continue
        if not where.exists() or (anchor and anchor not in anchors(TEXT.get(where) or where.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", OF_WHAT_EXISTS, ids=lambda page: page.name)
def test_commands_of_a_page_exist_with_their_options(page):
    unknown = []
    for words in shell_words(TEXT[page]):
        if "groundswift" in words[:1]:
            command, context = main, click.Context(main)
            rest = words[1:]
            while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
                command = command.get_command(context, rest[0])
                assert command, f"no subcommand {rest[0]} in {' '.join(words)}"
                rest = rest[1:]
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help", "-h"}
            rest = rest[: rest.index("--")] if "--" in rest else rest
            unknown += [f"{word} in {' '.join(words)}" for word in rest if word.startswith("--") and word not in known]
    assert unknown == []


@pytest.mark.parametrize("page", OF_WHAT_EXISTS, ids=lambda page: page.name)
def test_files_of_this_repository_that_commands_name_exist(page):
    named = re.findall(r"\b((?:recipes|benchmarks|findings|tests|docs)/[\w/.-]+\.(?:sh|py|md|yaml))\b", TEXT[page])
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "README_CN.md"])
def test_the_readme_is_one_page(name):
    assert 120 <= len(TEXT[ROOT / name].splitlines()) <= 150


@pytest.mark.parametrize("chinese", [False, True], ids=["English", "Chinese"])
def test_every_environment_variable_is_documented(chinese):
    pages = "".join(text for path, text in TEXT.items() if path.stem.endswith("_CN") == chinese and path.parent != ROOT / "recipes")
    sources = [path for folder in ("groundswift", "data_converters", "eval", "swift_plugins") for path in (ROOT / folder).rglob("*.py")]
    used = {name for path in sources for name in re.findall(r'["\[(](GROUNDSWIFT_[A-Z_]+)["\])]', path.read_text(encoding="utf-8"))}
    assert "GROUNDSWIFT_CACHE" in used
    assert sorted(used - {"GROUNDSWIFT_NOTES_OF_LOST_ROWS"} - set(re.findall(r"GROUNDSWIFT_[A-Z_]+", pages))) == []
