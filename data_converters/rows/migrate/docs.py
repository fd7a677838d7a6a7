"""The tables of `docs/migrate.md` and its Chinese twin, from the same data; `make docs` puts them into the pages."""

from __future__ import annotations

from collections.abc import Iterable

from groundswift.tsv_tables import table_rows

from .commands import NEW_ROUTES
from .rules import EVERYWHERE, NAMES_OF_3X, OF_COMMAND, OF_VIDEO, VARIABLES, Rule, rule_of
from .tables import SOURCE, datasets, flags_of, models, templates


class Words:
    """A note or heading in one of the two languages."""

    def __init__(self, language: str) -> None:
        self.table = dict(table_rows(__package__, "notes_CN.tsv", 2)) if language == "cn" else {}
        self.language = language

    def __call__(self, english: str) -> str:
        """The text in the language. Raises KeyError for one that has no translation."""
        return english if self.language == "en" or not english else self.table[english]


def log() -> list[str]:
    """Every sentence of the tables, to be translated."""
    rules = [rule for table in [EVERYWHERE, *OF_COMMAND.values()] for rule in table.values()]
    found = [note for rule in rules for note in [rule.note, *rule.refused.values()] if note]
    headings = ("Flags", "Models", "Datasets", "Templates", "Environment variables", "Commands", "Names of 3.x")
    columns = ("2.x", "4.6", "commands", "values and notes", "the same", "all", "removed", "for videos too", *headings)
    return list(dict.fromkeys([*found, *(variable.note for variable in VARIABLES.values()), *columns]))


def tables(language: str) -> str:
    """All tables as Markdown."""
    say = Words(language)
    parts = [
        f"## {say('Commands')}",
        _table(say, ("2.x", "4.6"), [(f"`swift {old}`", f"`swift {new}`") for old, new in NEW_ROUTES.items()]),
        f"## {say('Flags')}",
        _table(say, ("2.x", "4.6", "commands", "values and notes"), _flag_rows(say)),
        f"## {say('Environment variables')}",
        _table(say, ("2.x", "4.6", "values and notes"), _variable_rows(say)),
        f"## {say('Names of 3.x')}",
        _table(say, ("2.x", "4.6", "commands"), _rows_of_3x(), first="3.x"),
    ]
    for title, names in (
        ("Models", {name: f"`{model.id}`" for name, model in models().items()}),
        ("Datasets", {name: f"`{new}`" for name, new in datasets().items()}),
        ("Templates", {name: ", ".join(f"`{each}`" for each in new) or "-" for name, new in templates().items()}),
    ):
        table = _table(say, ("2.x", "4.6"), [(f"`{name}`", new) for name, new in names.items()])
        parts += [f"## {say(title)}", f"<details><summary>{SOURCE}: {len(names)}</summary>\n\n{table}\n\n</details>"]
    return "\n\n".join(parts)


def _flag_rows(say: Words) -> Iterable[tuple[str, ...]]:
    """A row for each flag and its replacement, with the commands; unchanged flags share one row."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    same: list[str] = []
    for command in OF_COMMAND:
        for flag in flags_of(command):
            rule = rule_of(command, flag)
            if rule == Rule("same", flag):
                same.append(flag)
            else:
                groups.setdefault((flag, *_became(rule, say)), []).append(command)
    changed = {flag for flag, *_ in groups}
    for (flag, new, note), commands in sorted(groups.items()):
        yield f"`--{flag}`", new, ", ".join(commands), note
    yield ", ".join(f"`{flag}`" for flag in sorted(set(same) - changed)), say("the same"), say("all"), ""


def _became(rule: Rule, say: Words) -> tuple[str, str]:
    new = " ".join(f"`--{name}`" for name in rule.new.split()) or say("removed")
    values = [f"`{old}` → `{value}`" if value else f"`{old}` → {say('removed')}" for old, value in rule.values.items() if old]
    refused = [f"`{value}`: {say(what)}" for value, what in rule.refused.items()]
    return new, "; ".join([*values, *refused, *([say(rule.note)] if rule.note else [])]).replace("|", "\\|")


def _variable_rows(say: Words) -> Iterable[tuple[str, str, str]]:
    for name, variable in VARIABLES.items():
        yield f"`{name}`", " ".join(f"`{new}`" for new in variable.new) or say("removed"), say(variable.note)
    for name, new in OF_VIDEO.items():
        yield f"`{name}`", f"`{name}` `{new}`", say("for videos too")


def _rows_of_3x() -> Iterable[tuple[str, str, str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for command, table in NAMES_OF_3X.items():
        for flag, rule in table.items():
            values = "".join(f" {value}" for value in rule.values)
            new = "".join(f" {value}" for value in rule.values.values())
            names = " ".join(f"`--{name}{new}`" for name in rule.new.split())
            groups.setdefault((f"`--{flag}{values}`", names), []).append(command)
    return [(old, new, ", ".join(commands)) for (old, new), commands in groups.items()]


def _table(say: Words, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], first: str | None = None) -> str:
    heads = [first or say(columns[0]), *map(say, columns[1:])]
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
