"""The `groundswift` command. Each verb lives in a room of its own and is loaded when it is asked for."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from . import __version__
from .errors import GroundswiftError

VERBS = {  # verb -> (module, its click command, one line of help)
    "convert": ("groundswift.data_converters.command", "convert", "Turn an annotation file into swift rows."),
    "eval": ("groundswift.eval.command", "evaluate", "Score results: mAP, and a report one looks at."),
    "plugin": ("groundswift.cli", "plugin", "Print the path for --custom_register_path."),
}


class LazyGroup(click.Group):
    """Lists its verbs without importing them, and prints a GroundswiftError as one plain message with exit status 1."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module, attribute, _ = VERBS[name]
        return getattr(import_module(module), attribute)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, VERBS[name][2]) for name in self.list_commands(context)])

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except GroundswiftError as error:
            click.echo(f"error: {error}", err=True)
            context.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Detection and grounding for models that ms-swift trains.

    \b
    Example:
      groundswift convert coco annotations.json --images images/ --out train.jsonl
      swift sft --custom_register_path "$(groundswift plugin)" --dataset train.jsonl ...
      groundswift eval coco-map result.jsonl --gt annotations.json --family qwen2_vl --out report/
    """


@click.command()
def plugin() -> None:
    """Print the path of the file to give to swift's --custom_register_path.

    \b
    Example:
      swift sft --custom_register_path "$(groundswift plugin)" ...
    """
    from importlib.util import find_spec  # finds the file without importing swift and torch

    room = find_spec("groundswift.swift_plugins")
    if room is None or not room.submodule_search_locations:
        raise GroundswiftError("groundswift.swift_plugins is not installed; expected it beside the kernel")
    click.echo(f"{list(room.submodule_search_locations)[0]}/register.py")


if __name__ == "__main__":
    sys.exit(main())
