"""Generated tables of this repository: findings, benchmarks and versions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from _words import ROOT, Row, Words, cell, code


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
