"""Write recipes/README.md and README_CN.md from the heads of the scripts: `python recipes/_inventory.py` (`--check`: only compare).

A head is the comment lines `# Key  value` under a script's first line. Only the standard library is used.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

RECIPES = Path(__file__).resolve().parent
KEYS = ("Task", "Model", "Method", "Hardware", "Memory", "Score", "Tiny")  # of every script, in this order
OPTIONAL = ("Needs", "Rate", "Note")
LINE = re.compile(r"# ([A-Z][a-z]+) +(\S.*)")
PARSED = "parsed: "  # begins the line Tiny of a recipe that only a GPU can run


class Head(NamedTuple):
    """The head of a recipe. `path` is relative to recipes/; `values` maps a key to its text."""

    path: str
    values: dict[str, str]

    @property
    def group(self) -> str:
        return self.path.partition("/")[0]

    @property
    def only_parsed(self) -> str | None:
        """Why the tests cannot run it; None for a recipe that they run to its end."""
        tiny = self.values["Tiny"]
        return tiny.removeprefix(PARSED) if tiny.startswith(PARSED) else None


def read_head(path: Path) -> Head:
    """The head of one script. Raises ValueError if a key is missing, unknown or out of order."""
    values: dict[str, str] = {}
    name = path.relative_to(RECIPES).as_posix()
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        if not (found := LINE.fullmatch(line.rstrip())):
            break
        if found[1] not in (*KEYS, *OPTIONAL) or found[1] in values:
            raise ValueError(f"recipes/{name}: {found[1]!r} in the head; expected once each of {', '.join((*KEYS, *OPTIONAL))}")
        values[found[1]] = found[2]
    if [key for key in values if key in KEYS] != list(KEYS):
        raise ValueError(f"recipes/{name}: the head has {', '.join(values) or 'no line'}; expected {', '.join(KEYS)} in this order")
    return Head(name, values)


def read_heads() -> list[Head]:
    """Every recipe on disk, by path."""
    return [read_head(path) for path in sorted(RECIPES.glob("*/*.sh")) if not path.name.startswith("_")]


WORDS = {
    "README.md": {
        "title": "Recipes",
        "other": "English | [中文](README_CN.md)",
        "intro": "{total} scripts that drive `swift sft`, `swift infer` and other commands of ms-swift. Each takes `VAR=value` before it "
        "and further options of its main command after it; `--help` prints its head and variables, `DRY_RUN=1` prints every command and "
        "runs nothing. {run} of them run to their end on a CPU in `make test-recipes`, with a tiny model of their family and a few rows. "
        "The other {parsed} need a GPU, a package that only installs with one, or llama.cpp: ms-swift's own argument classes parse "
        "their commands.",
        "columns": ("script", "model", "method", "hardware", "memory", "score"),
        "parsed": "Not run by the tests",
        "made": "Generated from the heads of the scripts by `python recipes/_inventory.py`.",
    },
    "README_CN.md": {
        "title": "训练与推理脚本",
        "other": "[English](README.md) | 中文",
        "intro": "共 {total} 个脚本, 驱动 `swift sft`、`swift infer` 等命令。脚本前写 `VAR=value` 设置变量, 脚本后的参数传给主命令; "
        "`--help` 显示脚本头部和变量, `DRY_RUN=1` 只打印命令而不执行。其中 {run} 个由 `make test-recipes` 在 CPU 上用同系列的微型模型和"
        "少量数据完整运行; 其余 {parsed} 个需要 GPU、依赖 GPU 的软件包或 llama.cpp, 其命令行由 ms-swift 自己的参数类解析检查。",
        "columns": ("脚本", "模型", "方法", "硬件", "显存", "得分"),
        "parsed": "测试中未运行的脚本",
        "made": "由 `python recipes/_inventory.py` 根据脚本头部生成。",
    },
}
EXAMPLE = "TRAIN=train.jsonl VAL=val.jsonl bash recipes/detection/qwen2_5_vl_lora.sh --learning_rate 5e-5"
SHOWN = ("Model", "Method", "Hardware", "Memory", "Score")


def page(heads: list[Head], words: dict) -> str:
    """One page: a table for each folder, and the recipes that the tests only parse, with the reason."""
    parsed = [head for head in heads if head.only_parsed]
    counts = {"total": len(heads), "parsed": len(parsed), "run": len(heads) - len(parsed)}
    lines = [f"# {words['title']}", "", words["other"], "", words["intro"].format(**counts), "", "```shell", EXAMPLE, "```"]
    for group in sorted({head.group for head in heads}):
        lines += ["", f"## {group}", "", row(words["columns"]), row(["---"] * len(words["columns"]))]
        for head in (head for head in heads if head.group == group):
            link = f"[`{head.path.partition('/')[2]}`]({head.path})"
            lines.append(row([link, *(head.values[key] for key in SHOWN)]))
    if parsed:
        lines += ["", f"## {words['parsed']}", "", *(f"- `{head.path}`: {head.only_parsed}" for head in parsed)]
    return "\n".join([*lines, "", words["made"], ""])


def row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    heads = read_heads()
    for name, words in WORDS.items():
        path, text = RECIPES / name, page(heads, words)
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"error: recipes/{name} is stale; run: python recipes/_inventory.py")


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"error: {error}")
