"""The `groundswift` command. Each verb lives in a room of its own and is loaded when it is asked for."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from . import __version__
from .errors import GroundswiftError, fault
from .terminal import echo, printable

VERBS = {  # verb -> (module, its click command, one line of help)
    "convert": ("groundswift.data_converters.command", "convert", "Turn an annotation file into swift rows."),
    "eval": ("groundswift.eval.command", "evaluate", "Score results: mAP, and a report one looks at."),
    "families": ("groundswift.cli", "families", "Show how each model family writes a box, and in which space."),
    "show": ("groundswift.swift_plugins.grounding.show.command", "show", "Show a row as the model will see it, boxes drawn."),
    "lint": ("groundswift.data_converters.lint.command", "lint", "Find the rows that swift would drop or learn wrongly."),
    "mix": ("groundswift.data_converters.mix_command", "mix", "Mix files of rows by weight into one training file."),
    "split": ("groundswift.data_converters.split_command", "split", "Split rows into parts that share no image."),
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
        except click.ClickException as error:  # of a subcommand: what was typed may hold anything
            error.message = printable(error.message)
            raise
        except GroundswiftError as error:
            echo(f"error: {error}", err=True)
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
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON list, to read by a program.")
@click.option("--markdown", is_flag=True, help="The table as it stands in the README.")
def families(name: str | None, as_json: bool, markdown: bool) -> None:
    """Show how each model family writes a box, in which space, and what goes wrong with it.

    \b
    Example:
      groundswift families qwen2_5_vl
    """
    import json

    from . import family_table
    from .family import family_row

    rows = (family_row(name),) if name else None
    if as_json:
        click.echo(json.dumps(family_table.facts(rows), ensure_ascii=False, indent=2))
    else:
        click.echo(family_table.markdown(rows) if markdown else family_table.text(rows))


@click.command()
@click.option(
    "--check", "checkpoint", metavar="CHECKPOINT", help="Tell whether the plugins that a checkpoint was trained with are still there."
)
def plugin(checkpoint: str | None) -> None:
    """Print the path of the file to give to swift's --custom_register_path.

    swift writes that path into a checkpoint and loads it again at inference; --check tells whether it has moved since.

    \b
    Example:
      swift sft --custom_register_path "$(groundswift plugin)" ...
      groundswift plugin --check output/checkpoint-100
    """
    path = plugin_path()
    if checkpoint is not None:
        check_plugins(checkpoint, path)
    click.echo(path)


def plugin_path() -> str:
    """Where `register.py` is installed, found without importing swift and torch."""
    from importlib.util import find_spec

    room = find_spec("groundswift.swift_plugins")
    if room is None or not room.submodule_search_locations:
        raise GroundswiftError("groundswift.swift_plugins is not installed; expected it beside the kernel")
    return f"{list(room.submodule_search_locations)[0]}/register.py"


def check_plugins(checkpoint: str, path: str) -> None:
    """Raise GroundswiftError where a plugin path in a checkpoint's args.json leads nowhere from the working directory."""
    import json
    import os

    where = os.path.join(checkpoint, "args.json")
    try:
        with open(where, encoding="utf-8") as file:
            saved = json.load(file).get("external_plugins") or []
    except (OSError, ValueError, AttributeError) as error:
        raise fault(where, f"cannot be read ({error})", "the folder of a swift checkpoint") from None
    gone = [name for name in saved if not os.path.isfile(os.path.expanduser(name))]
    if gone:
        raise fault(
            where,
            f"the plugin {', '.join(gone)} is not there any more",
            f"swift called with --external_plugins {path}, which takes its place",
        )


if __name__ == "__main__":
    sys.exit(main())
