"""`groundswift anomaly`: a subcommand per step, with files between them."""

from __future__ import annotations

from importlib import import_module

import click

from groundswift.command_group import CommandGroup

STEPS = {  # subcommand -> module, struct of its options, one line of help
    "crop": ("crop:CropOptions", "Stage 1: crop each labelled region, ask about the object."),
    "draw": ("draw:DrawOptions", "Stage 2: draw the boxes on the image, ask about what is marked."),
    "locate": ("bare:LocateOptions", "Stage 3: verdict and box of anomalies from the labels, on the bare image."),
    "describe": ("bare:DescribeOptions", "Stage 3: a prompt from the labels, for a model that describes the scene."),
    "ask": ("ask:ask", "A model at a server writes questions and answers, or describes scenes."),
    "table": ("table:table", "Questions and answers between text, CSV, rows, GLM-4V and Phi-3-vision."),
    "split": ("split:split", "Parts that share no frame or video, and mixes of the stages."),
}


class StepGroup(CommandGroup):
    """Loads the module of a step when it is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(STEPS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in STEPS:
            return None
        module, _, thing = STEPS[name][0].partition(":")
        found = getattr(import_module(f"{__package__}.{module}"), thing)
        if isinstance(found, click.Command):
            return found
        return import_module("groundswift.data_converters.cli").command_of(found)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Steps"):
            formatter.write_dl([(name, text) for name, (_, text) in STEPS.items()])


@click.group(cls=StepGroup, context_settings={"help_option_names": ["-h", "--help"]})
def anomaly() -> None:
    """Make the data of an anomaly model in three stages: parts, marked scenes, bare scenes.

    Every step reads files and writes files; a killed one continues with --resume. The same input, options and seed give the same bytes.

    \b
    Example:
      groundswift anomaly crop set/data.yaml --save-images local --out local.jsonl
      groundswift anomaly draw set/data.yaml --save-images marked --anomaly bubble --out marked.jsonl
      groundswift anomaly locate set/data.yaml --anomaly bubble --out located.jsonl
    """
