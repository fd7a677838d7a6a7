"""docs/migrate.md and its Chinese twin hold the tables that the data gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from groundswift.data_converters.rows.migrate.docs import Words, filled, log, tables
from groundswift.data_converters.rows.migrate.tables import datasets, flags_of, models

DOCS = Path(__file__).parents[3] / "docs"
HOW = "run: python -m groundswift.data_converters.rows.migrate.docs {} < {} > new.md"


@pytest.mark.parametrize(("language", "name"), [("en", "migrate.md"), ("cn", "migrate_CN.md")])
def test_the_tables_are_those_of_the_data(language, name):
    document = (DOCS / name).read_text(encoding="utf-8")
    assert document == filled(document, language), HOW.format(language, f"docs/{name}")


def test_every_note_is_translated_and_no_other():
    assert Words("cn").table.keys() == set(log())


def test_nothing_of_2x_is_missing():
    text = tables("en")
    names = {
        f"`--{flag}`"
        for command in ("sft", "pt", "rlhf", "infer", "export", "deploy", "eval", "app-ui", "web-ui")
        for flag in flags_of(command)
    }
    bare = {f"`{flag[3:-1]}`" for flag in names}
    assert [flag for flag in names if flag not in text and f"`{flag[3:-1]}`" not in text] == []
    assert bare
    assert [name for name in (*models(), *datasets()) if f"| `{name}` |" not in text] == []


def test_both_documents_have_the_same_rows():
    both = [
        re.findall(r"^\| `[^|]*` \|", (DOCS / name).read_text(encoding="utf-8"), re.MULTILINE) for name in ("migrate.md", "migrate_CN.md")
    ]
    assert both[0] == both[1]
