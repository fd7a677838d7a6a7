"""Fill the generated tables of all pages from the code: `python docs/_tables.py` (`--check`: only compare, exit with 1 if one is stale).

A page marks a table with `<!-- table NAME: start -->` and `<!-- table NAME: end -->`. A page whose name ends in `_CN` gets the Chinese one:
its texts are in `_chinese.tsv` by key, and stay English where the file has no such key.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "README_CN.md", "docs/*.md", "findings/README.md")
MARKED = re.compile(r"(<!-- table ([a-z-]+): start -->\n).*?(<!-- table \2: end -->)", re.DOTALL)
CHINESE = dict(line.split("\t") for line in (ROOT / "docs/_chinese.tsv").read_text(encoding="utf-8").splitlines())
Row = Iterable[str]


class Words:
    """The texts of the tables in one language, by key."""

    def __init__(self, chinese: bool) -> None:
        self.chinese = chinese

    def __call__(self, key: str, english: str) -> str:
        """The text of a key; the English one where there is no translation."""
        return CHINESE.get(key, english) if self.chinese else english

    def table(self, columns: str, rows: Iterable[Row]) -> str:
        """A Markdown table; `columns` are headings separated by `;`."""
        heads = [self(f"column.{name}", name) for name in columns.split(";")]
        lines = [heads, ["---"] * len(heads), *rows]
        return "\n".join("| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |" for line in lines)


def cell(text: str) -> str:
    """A text that may hold any character, for a cell."""
    return text.replace("|", "\\|")


def code(text: str) -> str:
    """A text as code in a cell."""
    return f"`{cell(text)}`"


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


def families(say: Words) -> str:
    """The table of families; the example of each is written by the real formatter."""
    from groundswift.family_docs import facts, one_line, step_text

    rows = (
        (
            code(fact["family"]),
            ", ".join(map(code, fact["templates"])) or say("families.read-only", "(read only)"),
            code(fact["space"]),
            step_text(fact["step_px_at_640x480"]),
            code(one_line(fact["example"])),
            code(one_line(fact["empty_answer"])),
        )
        for fact in facts()
    )
    return say.table("family;template;space;step at 640 x 480 px;a dog at (141, 203), (364, 425) of 640 x 480 px;no object", rows)


def family_traps(say: Words) -> Iterator[Row]:
    """The traps and the source of each family."""
    from groundswift.family_docs import facts

    for fact in facts():
        traps = [say(f"trap.{fact['family']}.{number}", text) for number, text in enumerate(fact["traps"], 1)]
        yield code(fact["family"]), cell("; ".join(traps) or "-"), cell(fact["source"])


def swift_models(say: Words) -> Iterator[Row]:
    """swift's multimodal model types that no family has, and what is known of their boxes."""
    from groundswift.swift_models import FAMILY, swift_models

    for model in swift_models().values():
        if model.boxes != FAMILY:
            how = say(f"boxes.{model.how}", model.how) or "-"
            yield (
                code(model.name),
                ", ".join(map(code, model.templates)),
                say(f"boxes.{model.boxes}", model.boxes),
                cell(how),
                model.source or "-",
            )


def spaces(say: Words) -> Iterator[Row]:
    """Every coordinate space and what its numbers mean."""
    from groundswift.spaces import SPACES

    return ((code(name), cell(say(f"space.{name}", space.meaning))) for name, space in SPACES.items())


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


def protocols(say: Words) -> Iterator[Row]:
    """Every rule of the protocol card, what it fixes, and where its code is."""
    from groundswift.eval.protocols.card import RULES

    for rule in RULES.values():
        switches = [f"{say(f'switch.{name}', name)}: {say(f'switch.{rule.id}.{name}', value)}" for name, value in rule.switches.items()]
        yield f"[{rule.title}]({rule.source})", cell(say(f"protocol.{rule.id}", rule.line)), cell("; ".join(switches))


def published(say: Words) -> Iterator[Row]:
    """Every published figure with its source."""
    from groundswift.eval.protocols.published import FIGURES

    for each in FIGURES:
        texts = (say(f"published.{text}", text) for text in (each.mode, each.metric))
        mode, metric = texts
        yield code(each.id), each.model, mode, each.benchmark, metric, f"{100 * each.value:.1f}", each.source


@cache
def perfect_cells() -> dict[str, dict[str, str]]:
    """Family -> rule -> what perfect answers reach, in per cent."""
    from groundswift.eval.metrics.coco_map import evaluate
    from groundswift.eval.protocols.decode_ceiling import cells_of, perfect_case
    from groundswift.family import families

    return {name: cells_of(perfect_case(row, lambda *columns: evaluate(*columns).summary)) for name, row in families().items()}


def decode_ceiling(say: Words) -> str:
    """Perfect answers of every family through every rule. Families with the same cells share a row."""
    from groundswift.eval.protocols.card import RULES

    alike: dict[tuple[str, ...], list[str]] = {}
    for name, cells in perfect_cells().items():
        alike.setdefault(tuple(cells.values()), []).append(name)
    rules = next(iter(perfect_cells().values()))
    columns = "family;" + ";".join(RULES[rule].title for rule in rules)
    return say.table(columns, ((", ".join(map(code, names)), *cells) for cells, names in alike.items()))


def findings(say: Words) -> Iterator[Row]:
    """Every finding: versions and title are lines of its head."""
    for path in sorted((ROOT / "findings").glob("*.sh")):
        if path.name != "_run.sh":
            lines = path.read_text(encoding="utf-8").splitlines()
            title, versions = lines[1].removeprefix("# "), next(line for line in lines if line.startswith("# Versions"))
            link = f"[{path.name}](../findings/{path.name})"
            yield link, versions.removeprefix("# Versions").strip(), cell(say(f"finding.{path.stem}", title))


def benchmarks(say: Words) -> Iterator[Row]:
    """Every benchmark of `make bench`: the first sentence of its docstring."""
    for name in re.findall(r"python (benchmarks/\w+\.py)", (ROOT / "Makefile").read_text(encoding="utf-8")):
        path = ROOT / name
        text = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        yield code(f"python {name}"), cell(say(f"benchmark.{path.stem}", text))


def pins(name: str) -> dict[str, str]:
    """Package -> version of a constraints file."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def direct_packages() -> list[str]:
    """The packages that pyproject.toml names, in its order."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text[text.index("dependencies = [") : text.index("[project.scripts]")]
    names = [re.match(r"[\w.-]+", word)[0].lower() for word in re.findall(r'"([a-zA-Z][^"]*)"', block)]
    return [name for name in dict.fromkeys(names) if name != "groundswift"]


def versions(say: Words) -> Iterator[Row]:
    """The versions that the tests passed with, of every package that pyproject.toml names."""
    usual, newest = pins("constraints.txt"), pins("constraints-newest.txt")
    return ((name, usual.get(name, "-"), newest.get(name, "-")) for name in direct_packages() if name in usual or name in newest)


def bad_versions(say: Words) -> Iterator[Row]:
    """Versions of libraries that move boxes: the plugin warns of them."""
    from groundswift.swift_plugins.grounding.known_bad_versions import BAD_VERSIONS

    for number, bad in enumerate(BAD_VERSIONS, 1):
        models = ", ".join(map(code, bad.families)) or say("bad.any", "any")
        fault = say(f"bad.{number}", getattr(bad, "fault", None) or bad.problem)
        yield bad.package, code(bad.versions), models, cell(fault), code(bad.remedy), ", ".join(bad.sources)


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


TABLES: dict[str, Callable[[Words], str]] = {
    "formats": lambda say: say.table("command;reads;rows", formats(say, back=False)),
    "formats-back": lambda say: say.table("command;reads;writes", formats(say, back=True)),
    "convert-options": lambda say: say.table("option;meaning", convert_options(say)),
    "commands": lambda say: say.table("command;what it does", commands(say)),
    "coco-map-options": lambda say: say.table("option;meaning", options(say, ("eval", "coco-map"))),
    "lint-options": lambda say: say.table("option;meaning", options(say, ("lint",))),
    "families": families,
    "family-traps": lambda say: say.table("family;traps;source", family_traps(say)),
    "swift-models": lambda say: say.table("model type;template of swift;boxes;how;source", swift_models(say)),
    "spaces": lambda say: say.table("space;numbers", spaces(say)),
    "lint-rules": lambda say: say.table("id;severity;what;effect;remedy", lint_rules(say)),
    "run-checks": lambda say: say.table("id;severity;what", run_checks(say)),
    "metrics": lambda say: say.table("command;numbers;what", metrics(say)),
    "protocols": lambda say: say.table("rule;what it does;what it fixes", protocols(say)),
    "published": lambda say: say.table("id;model;mode;benchmark;metric;value;source", published(say)),
    "decode-ceiling": decode_ceiling,
    "findings": lambda say: say.table("finding;versions;what happens", findings(say)),
    "benchmarks": lambda say: say.table("command;what", benchmarks(say)),
    "versions": lambda say: say.table("package;constraints.txt;constraints-newest.txt", versions(say)),
    "bad-versions": lambda say: say.table("package;versions;families;problem;use;source", bad_versions(say)),
    "issues": lambda say: say.table("id;meaning", issues(say)),
    "parse-warnings": lambda say: say.table("id;meaning", parse_warnings(say)),
    "migration": migration,
    "problems": problems,
}


def pages() -> list[Path]:
    """Every page that may hold a generated table."""
    return sorted(path for pattern in PAGES for path in ROOT.glob(pattern))


def filled(page: str, chinese: bool) -> str:
    """A page with the tables of today between its marks."""
    return MARKED.sub(lambda mark: f"{mark[1]}{TABLES[mark[2]](Words(chinese))}\n{mark[3]}", page)


def stale() -> dict[Path, str]:
    """The pages whose tables are not those of the code, with the text that they should have."""
    texts = {path: path.read_text(encoding="utf-8") for path in pages()}
    wanted = {path: filled(text, path.stem.endswith("_CN")) for path, text in texts.items()}
    return {path: text for path, text in wanted.items() if text != texts[path]}


def main() -> None:
    """Write the stale pages, or name them."""
    behind = stale()
    if "--check" in sys.argv[1:] and behind:
        sys.exit(f"error: stale tables in {', '.join(str(path.relative_to(ROOT)) for path in behind)}; run: make docs")
    for path, text in behind.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
