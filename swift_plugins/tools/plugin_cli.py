"""`groundswift plugin`: the path of the file that swift is given, and what swift will run when it loads a checkpoint."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import click

from groundswift.errors import GroundswiftError, error_at
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
        raise error_at(
            where,
            f"the plugin {', '.join(map(repr, gone))} was not found",
            f"swift with --external_plugins {REGISTER} in its place",
        )
    return [
        f"warning: {where}: swift will run {os.path.abspath(os.path.expanduser(name))!r}, which is not groundswift's plugin. "
        "Read it before you load this checkpoint"
        for name in saved
        if not is_own(name)
    ]


def saved_plugins(where: str) -> list[str]:
    """The paths of plugins in an args.json, as swift reads them: a list, one text, or none. Raises GroundswiftError for anything else."""
    expected = "the args.json of a swift checkpoint"
    settings = read_object(where, expected)
    plugins = settings.get(SAVED)
    plugins = [plugins] if isinstance(plugins, str) else [] if plugins is None else plugins
    if not isinstance(plugins, list) or not all(isinstance(name, str) and "\0" not in name for name in plugins):
        raise error_at(where, f"{SAVED} {json.dumps(plugins)[:80]}", f"{expected}, with a list of paths there")
    return plugins


def read_object(where: str, expected: str) -> dict[str, Any]:
    """The JSON object in a regular file. Raises GroundswiftError for what is not one, a pipe or a device too."""
    try:
        if not stat.S_ISREG(os.stat(where).st_mode):
            raise error_at(where, "is not a regular file", expected)
        settings = json.loads(Path(where).read_bytes())
    except GroundswiftError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__ if isinstance(error, RecursionError) else error
        raise error_at(where, f"cannot be read ({reason})", expected) from None
    if not isinstance(settings, dict):
        raise error_at(where, "is not a JSON object", expected)
    return settings
