"""`groundswift eval`: a subcommand for each metric, and the comparison of scored runs."""

from __future__ import annotations

import click

from .compare import compare
from .metric_command import command_of
from .metrics import metric_class, table


class Metrics(click.Group):
    """A group whose subcommands are the metrics of the table, loaded when they are named."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*(name.replace("_", "-") for name in table()), *super().list_commands(context)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        metric = name.replace("-", "_")
        return command_of(metric_class(metric)) if metric in table() else super().get_command(context, name)


@click.group(cls=Metrics)
def evaluate() -> None:
    """Score results: mAP, referring expressions, and an HTML report."""


evaluate.add_command(compare)
