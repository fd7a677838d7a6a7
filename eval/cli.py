"""`groundswift eval`: score result files, and put scored runs side by side."""

from __future__ import annotations

import click

from .coco_map_cli import coco_map
from .compare_cli import compare
from .referring_cli import referring


@click.group()
def evaluate() -> None:
    """Score results: mAP, referring expressions, and an HTML report."""


for command in (coco_map, referring, compare):
    evaluate.add_command(command)
