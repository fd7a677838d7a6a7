"""Generated tables of commands: formats, options, metrics, and the ids that they count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from _words import ROOT, Row, Words, cell, code


def formats(say: Words, back: bool) -> Iterator[Row]:
    """Rows of the source formats, or of the formats that swift rows are written back to."""
    from groundswift.data_converters.registry import FORMATS

    for name, row in FORMATS.items():
        if row.makes_rows != back:
            texts = (say(f"format.{name}.reads", row.reads), say(f"format.{name}.writes", row.writes))
            yield code(f"groundswift convert {name}"), *map(cell, texts)


def click_commands(words: tuple[str, ...]):
    """(words of the command, click command) of a subcommand, or of all of a group."""
    import click

    from groundswift.cli import main

    command, context = main, click.Context(main, info_name="groundswift")
    for word in words:
        command = command.get_command(context, word)
        context = click.Context(command, info_name=word, parent=context)
    if not isinstance(command, click.Group) or words in (("convert",), ("anomaly",)):
        return [(words, command, context)]
    return [found for name in command.list_commands(context) for found in click_commands((*words, name))]


def commands(say: Words) -> Iterator[Row]:
    """Every subcommand with the first sentence of its help."""
    for words, command, _ in click_commands(()):
        name = " ".join(words)
        yield code(f"groundswift {name}"), cell(say(f"command.{name}", command.get_short_help_str(200)))


def options(say: Words, words: tuple[str, ...], common_to: tuple[str, ...] = ()) -> Iterator[Row]:
    """The options of a command with their help; with `common_to`, only those that these sister commands have too."""
    ((_, command, context),) = click_commands(words)
    sisters = [click_commands((*words[:-1], name))[0][1] for name in common_to]
    shared = [{parameter.name for parameter in sister.params} for sister in sisters]
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record and record[0].startswith("-") and parameter.name != "help" and all(parameter.name in names for names in shared):
            key = f"option.{' '.join(words)}.{parameter.opts[0].lstrip('-')}"
            yield code(record[0]), cell(say(key, record[1]))


def convert_options(say: Words) -> Iterator[Row]:
    """What every source format takes."""
    from groundswift.data_converters.registry import FORMATS

    return options(say, ("convert", "coco"), tuple(name for name in FORMATS if not name.startswith("to-")))


def lint_rules(say: Words) -> Iterator[Row]:
    """Every rule of the lint; a mark where `--fix` repairs it."""
    from groundswift.data_converters.rows.lint.rules import RULES

    for rule in RULES.values():
        title, effect, remedy = (
            say(f"lint.{rule.id}.{part}", getattr(rule, part, None) or rule.mend) for part in ("title", "effect", "remedy")
        )
        severity = say(f"severity.{rule.severity}", rule.severity)
        yield code(rule.id), severity, cell(title), cell(effect), cell(remedy) + (" (`--fix`)" if rule.fixed else "")


def run_checks(say: Words) -> Iterator[Row]:
    """Every finding that the plugin's checks report, by id: whether it stops the run, and its line `id: what` in the check's docstring."""
    seen: dict[str, Row] = {}
    for path in sorted((ROOT / "swift_plugins").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for call in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Finding" and isinstance(call.args[0], ast.Constant):
                    name, fatal = call.args[0].value, any(word.arg == "fatal" for word in call.keywords)
                    severity = "error" if fatal else "warning"
                    lines = (ast.get_docstring(function) or "").splitlines()
                    what = next((line.partition(": ")[2] for line in lines if line.startswith(f"{name}: ")), lines[0])
                    seen.setdefault(name, (code(name), say(f"severity.{severity}", severity), cell(say(f"check.{name}", what))))
    yield from seen.values()


def metrics(say: Words) -> Iterator[Row]:
    """Every metric of `groundswift eval` with its numbers."""
    from groundswift.eval.metrics import METRICS

    for name, kind in METRICS.items():
        command, keys = name.replace("_", "-"), ", ".join(code(number.key) for number in kind.numbers)
        yield (
            code(f"groundswift eval {command}"),
            keys,
            cell(say(f"command.eval {command}", (kind.__doc__ or "").partition("\n")[0].rstrip("."))),
        )


def issues(say: Words) -> Iterator[Row]:
    """Every id that converters count, and what it means."""
    from groundswift.data_converters.issue_titles import TITLES
    from groundswift.data_converters.registry import FORMATS

    dict(FORMATS)  # each class declares those that only it counts
    return ((code(name), cell(say(f"issue.{name}", title))) for name, title in sorted(TITLES.items()))


def parse_warnings(say: Words) -> Iterator[Row]:
    """Every warning of parsing an answer."""
    from groundswift.eval.report.words import translated
    from groundswift.grammars.parse_warnings import WARNINGS

    return ((code(name), cell(translated(text)[say.chinese])) for name, text in WARNINGS.items())


def migration(say: Words) -> str:
    """Flags, variables, models, datasets and templates of ms-swift 2.x and what they became."""
    from groundswift.data_converters.rows.migrate.docs import tables

    return "\n" + tables("cn" if say.chinese else "en") + "\n"


def problems(say: Words) -> str:
    """What `convert coco` prints of a file with a box outside its image and one that sticks out: from a real run."""
    import json
    import os
    import tempfile

    from click.testing import CliRunner
    from PIL import Image

    from groundswift.cli import main

    boxes = ([40, 60, 120, 90], [650, 5, 100, 100], [600, 400, 80, 60])
    document = {
        "images": [{"id": number, "file_name": f"{number:06}.jpg", "width": 640, "height": 480} for number in (7, 8, 9)],
        "annotations": [
            {"id": number, "image_id": number + 6, "category_id": 1, "bbox": box, "iscrowd": 0, "area": box[2] * box[3]}
            for number, box in enumerate(boxes, 1)
        ],
        "categories": [{"id": 1, "name": "dog"}],
    }
    command = "convert coco train.json --images images --out train.jsonl"
    before, lines = os.getcwd(), []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            os.mkdir("images")
            for image in document["images"]:
                Image.new("RGB", (640, 480)).save(f"images/{image['file_name']}")
            Path("train.json").write_text(json.dumps(document), encoding="utf-8")
            for words in (command, f"{command} --on-error skip"):
                shown = CliRunner().invoke(main, words.split()).output
                lines += [f"$ groundswift {words}", *(line for line in shown.splitlines() if "image/s" not in line)]
        finally:
            os.chdir(before)
    return "\n".join(["```console", *lines, "```"])
