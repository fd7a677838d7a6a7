"""`groundswift plan`: the command. swift is loaded when a plan is asked for, not for --help."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from groundswift.terminal import echo, echo_json


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("recipe", metavar="RECIPE.sh|CONFIG", type=click.Path(path_type=Path))
@click.argument("extra", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS OF SWIFT]")
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="Rows of the data; repeat it for each dataset.  [default: counted in local files]",
)
@click.option(
    "--gpus",
    type=click.IntRange(min=1),
    metavar="G",
    help="GPUs of each node, one process each.  [default: NPROC_PER_NODE of the command, or 1]",
)
@click.option("--nodes", type=click.IntRange(min=1), metavar="N", help="Nodes.  [default: NNODES of the command, or 1]")
@click.option(
    "--seconds-per-step",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="A measured rate, for the minutes.  [default: the line '# Rate' of the recipe]",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="config.json or folder of the model.  [default: the model's folder, or its copy in the hubs' caches]",
)
@click.option(
    "--tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tokens of the longest row, for the memory.  [default: its images, and its text where the tokenizer is here, else 512]",
)
@click.option(
    "--memory",
    type=click.FloatRange(min=0, min_open=True),
    metavar="GIB",
    help="Memory of one GPU: exit status 3 and what to lower first, where the plan needs more.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, to read by a program.")
@click.pass_context
def plan(
    context: click.Context,
    recipe: Path,
    extra: tuple[str, ...],
    rows: tuple[int, ...],
    gpus: int | None,
    nodes: int | None,
    seconds_per_step: float | None,
    config: Path | None,
    tokens: int | None,
    memory: float | None,
    as_json: bool,
) -> None:
    """Plan a training before it is started: optimizer steps, tokens per image, memory.

    RECIPE.sh is a recipe of groundswift or a script with a `swift sft`, `pt` or `rlhf` command; CONFIG is a YAML or JSON config of swift.
    Nothing is trained: a recipe prints its commands (DRY_RUN=1), any other script is only read. Steps are counted by the Trainer's own
    formula; memory is computed from the model's configuration alone, without weights, and is an estimate. What is not known is named.

    \b
    Example:
      groundswift plan recipes/detection/qwen2_5_vl_lora.sh --rows 10000 --gpus 4
      groundswift plan train.yaml --config Qwen2.5-VL-7B/config.json --memory 24 -- --per_device_train_batch_size 2
    """
    from .recipe import read_training, shown

    training = read_training(recipe, extra, gpus)  # a wrong path is named before torch is loaded

    from .plan import PlanOptions, make_plan
    from .report import as_json as in_json
    from .report import as_text
    from .settings import read_settings

    settings = read_settings(training, dict(os.environ), gpus, nodes)
    made = make_plan(settings, training.head, PlanOptions(list(rows), seconds_per_step, config, tokens, memory))
    if as_json:
        echo_json(json.dumps(in_json(made, shown(training)), ensure_ascii=False, indent=2))
    else:
        echo(as_text(made))
    if made.over:
        context.exit(3)
