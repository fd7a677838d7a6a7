"""`groundswift plugin`: the path of the file that swift is given, and what swift will run when it loads a checkpoint."""

from __future__ import annotations

import json
import os

import click

from groundswift.errors import error_at
from groundswift.model_folder import read_object
from groundswift.terminal import echo

from ..grounding.plugin_shim import REGISTER, is_own

SAVED = "external_plugins"  # the key of args.json whose files swift imports


@click.command()
@click.option("--check", "checkpoint", metavar="CHECKPOINT", help="Show which plugins swift will run when it loads a checkpoint.")
def plugin(checkpoint: str | None) -> None:
    """Print the path of the file to give to swift's --custom_register_path.

    swift writes that path into a checkpoint and runs the file again at inference. --check reports a missing file, and names
    every file that is not groundswift's own, since swift runs it too.

    \b
    Example:
      swift sft --custom_register_path "$(groundswift plugin)" ...
      groundswift plugin --check output/checkpoint-100
    """
    if checkpoint is not None:
        for line in checked(checkpoint):
            echo(line, err=True)
    click.echo(str(REGISTER))


def checked(checkpoint: str) -> list[str]:
    """A line for each plugin in a checkpoint's args.json that is not groundswift's own and that swift will run.

    Raises GroundswiftError where args.json cannot be read, or a plugin is missing.
    """
    where = os.path.join(checkpoint, "args.json")
    saved = saved_plugins(where)
    gone = [name for name in saved if not os.path.isfile(os.path.expanduser(name))]
    if gone:
        what = f"the plugin {', '.join(map(repr, gone))} was not found"
        raise error_at(where, f"{what}. Give swift --external_plugins {REGISTER} to replace it")
    foreign = [os.path.abspath(os.path.expanduser(name)) for name in saved if not is_own(name)]
    advice = "which is not groundswift's plugin. Read it before you load this checkpoint"
    return [f"warning: {where}: swift will run {name!r}, {advice}" for name in foreign]


def saved_plugins(where: str) -> list[str]:
    """The paths of plugins in an args.json, as swift reads them: a list, one text, or none. Raises GroundswiftError for anything else."""
    expected = "the args.json of a swift checkpoint"
    plugins = read_object(where, expected).get(SAVED)
    plugins = [plugins] if isinstance(plugins, str) else [] if plugins is None else plugins
    if not isinstance(plugins, list) or not all(isinstance(name, str) and "\0" not in name for name in plugins):
        raise error_at(where, f"{SAVED} {json.dumps(plugins)[:80]}", f"{expected}, with a list of paths there")
    return plugins
