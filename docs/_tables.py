"""Fill the generated tables of all pages from the code: `python docs/_tables.py` (`--check`: only compare, exit with 1 if one is stale).

A page marks a table with `<!-- table NAME: start -->` and `<!-- table NAME: end -->`. A page whose name ends in `_CN` gets the Chinese one:
its texts are in `_chinese.tsv` by key, and stay English where the file has no such key.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from _commands import (
    commands,
    convert_options,
    formats,
    issues,
    lint_rules,
    metrics,
    migration,
    options,
    parse_warnings,
    problems,
    run_checks,
)
from _models import decode_ceiling, families, family_traps, protocols, published, spaces, swift_models
from _repository import bad_versions, benchmarks, findings, versions
from _words import ROOT, Words

PAGES = ("README.md", "README_CN.md", "docs/*.md", "findings/README.md")
MARKED = re.compile(r"(<!-- table ([a-z-]+): start -->\n).*?(<!-- table \2: end -->)", re.DOTALL)
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
