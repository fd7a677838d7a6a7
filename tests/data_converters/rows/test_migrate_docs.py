"""The tables of docs/migrate.md and its Chinese twin."""

from __future__ import annotations

import re

from groundswift.data_converters.rows.migrate.docs import Words, log, tables
from groundswift.data_converters.rows.migrate.tables import datasets, flags_of, models


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


def test_both_languages_have_the_same_rows():
    rows = [re.findall(r"^\| `[^|]*` \|", tables(language), re.MULTILINE) for language in ("en", "cn")]
    assert rows[0] == rows[1]
