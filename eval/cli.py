"""`groundswift eval`: a subcommand for each metric, and the comparison of scored runs."""

from __future__ import annotations

import click

from .compare import compare
from .metric_command import command_of
from .metrics import METRICS


class Metrics(click.Group):
    """A subcommand per metric, loaded when it is named; one that cannot be loaded is named in the help, and the others work."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*(name.replace("_", "-") for name in METRICS.loaded[0]), *super().list_commands(context)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        for metric in (name.replace("-", "_"), name):  # a metric that is named with a dash is refused in words
            if metric in METRICS:
                return command_of(METRICS[metric])
        return super().get_command(context, name)

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


evaluate.add_command(compare)
