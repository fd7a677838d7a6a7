"""`groundswift plan`: the command. swift is loaded when a plan is asked for, not for --help."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from groundswift.terminal import echo, echo_json

COUNT, POSITIVE = click.IntRange(min=1), click.FloatRange(min=0, min_open=True)


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("recipe", metavar="RECIPE.sh|CONFIG", type=click.Path(path_type=Path))
@click.argument("extra", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS OF SWIFT]")
@click.option("--rows", type=COUNT, multiple=True, metavar="N", help="Rows; repeat it per dataset.  [default: counted in local files]")
@click.option("--gpus", type=COUNT, metavar="G", help="GPUs per node, one process each.  [default: NPROC_PER_NODE of the command, or 1]")
@click.option("--nodes", type=COUNT, metavar="N", help="Nodes.  [default: NNODES of the command, or 1]")
@click.option("--seconds-per-step", type=POSITIVE, metavar="S", help="Measured rate, for the minutes.  [default: '# Rate' of the recipe]")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="config.json or model folder.  [default: found by --model]")
@click.option("--tokens", type=COUNT, metavar="N", help="Tokens of the longest row, for the memory.  [default: measured, or estimated]")
@click.option("--memory", type=POSITIVE, metavar="GIB", help="Memory of one GPU: if the plan needs more, exit 3 and say what to lower.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def plan(
    context: click.Context,
    recipe: Path,
    extra: tuple[str, ...],
    gpus: int | None,
    nodes: int | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Plan a training run before it starts: optimizer steps, tokens per image, memory.

    RECIPE.sh is a recipe of groundswift or a script with a `swift sft`, `pt` or `rlhf` command; CONFIG is a YAML or JSON config of swift.
    Nothing is trained: a recipe prints its commands (DRY_RUN=1), any other script is only read. Steps follow the Trainer's formula.
    Memory is an estimate from the model's configuration, without weights. What is not known is listed.

    \b
    Example:
      groundswift plan recipes/detection/qwen2_5_vl_lora.sh --rows 10000 --gpus 4
      groundswift plan train.yaml --config Qwen2.5-VL-7B/config.json --memory 24 -- --per_device_train_batch_size 2
    """
    from .recipe import read_training, shown

    training = read_training(recipe, extra, gpus)  # a wrong path is named before torch is loaded

    from .plan import make_plan
    from .report import as_json as in_json
    from .report import as_text
    from .settings import read_settings

    settings = read_settings(training, dict(os.environ), gpus, nodes)
    made = make_plan(settings, training.head, **asked)
    if as_json:
        echo_json(json.dumps(in_json(made, shown(training)), ensure_ascii=False, indent=2))
    else:
        echo(as_text(made))
    if made.over:
        context.exit(3)
