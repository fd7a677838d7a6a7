"""`groundswift eval`: a subcommand for each metric, and the comparison of scored runs."""

from __future__ import annotations

import os
from importlib import import_module

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: its threads start in 30 ms, and nothing here multiplies matrices

import click

from groundswift.background import import_numpy
from groundswift.command_group import CommandGroup
from groundswift.gc_control import without_collection

import_numpy()

from .metric_command import command_of  # noqa: E402
from .metrics import METRICS  # noqa: E402

OTHERS = {"check-judge": "check_judge", "compare": "compare"}  # subcommands that are not metrics -> module and name of the command


class Metrics(CommandGroup):
    """A subcommand per metric, loaded when it is named; one that cannot be loaded is named in the help, and the others work."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*(name.replace("_", "-") for name in METRICS.loaded[0]), *OTHERS]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        for metric in (name.replace("-", "_"), name):  # a metric that is named with a dash is refused in words
            if metric in METRICS:
                with without_collection():  # modules stay
                    return command_of(METRICS[metric])
        module = OTHERS.get(name)
        return getattr(import_module(f".{module}", __package__), module) if module else None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_commands(context, formatter)
        METRICS.write_problems(formatter)


@click.group(cls=Metrics)
def evaluate() -> None:
    """Score results: detection, referring expressions, captions, OCR, question answering; with an HTML report.

    \b
    Example:
      groundswift eval coco-map result.jsonl --gt annotations.json --images images/ --out scored/
      groundswift eval coco-map --help
    """
