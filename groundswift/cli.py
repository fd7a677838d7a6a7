"""The `groundswift` command. A subcommand is loaded when it is called."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import click

from . import __version__
from .command_group import CommandGroup
from .errors import GroundswiftError
from .gc_control import without_collection
from .terminal import echo, printable

SUBCOMMANDS = {  # subcommand -> (module, its click command, one line of help)
    "convert": ("groundswift.data_converters.cli", "convert", "Turn an annotation file into swift rows."),
    "eval": ("groundswift.eval.cli", "evaluate", "Score results: mAP and a visual report."),
    "browse": ("groundswift.eval.browse_command", "browse", "Browse scored runs and their images in a web browser."),
    "families": ("groundswift.cli", "families", "Show how each model family writes a box, and in which space."),
    "show": ("groundswift.swift_plugins.tools.show.cli", "show", "Show a row as the model will see it, boxes drawn."),
    "infer": ("groundswift.swift_plugins.tools.infer.cli", "infer", "Answer rows or images by a model or a server; survives a kill."),
    "watch": ("groundswift.swift_plugins.tools.watch.cli", "watch", "Ask a served model about a camera's frames; raise alarms."),
    "lint": ("groundswift.data_converters.rows.lint.cli", "lint", "Find the rows that swift would drop or train on wrongly."),
    "mix": ("groundswift.data_converters.rows.mix_cli", "mix", "Mix files of rows by weight into one training file."),
    "split": ("groundswift.data_converters.rows.split_cli", "split", "Split rows into parts that share no image."),
    "parity": (
        "groundswift.swift_plugins.tools.parity.cli",
        "parity",
        "Compare adapter, merged, quantised and served models.",
    ),
    "anomaly": ("groundswift.data_converters.anomaly.cli", "anomaly", "Make the data of an anomaly model in three stages."),
    "plan": ("groundswift.swift_plugins.tools.plan.cli", "plan", "Plan a training run: steps, tokens per image, memory."),
    "migrate": ("groundswift.data_converters.rows.migrate.cli", "migrate", "Migrate scripts of ms-swift 2.x to 4.6."),
    "plugin": ("groundswift.swift_plugins.tools.plugin_cli", "plugin", "Print the path for --custom_register_path."),
}
OF_SWIFT = {"swift", "torch", "torchvision", "transformers", "peft", "accelerate", "qwen_vl_utils"}  # what the extra [swift] brings

EXTRA = "pip install 'groundswift[swift]'"
MESSAGE = 2000  # characters of what is said about wrong use


class LazyGroup(CommandGroup):
    """Lists subcommands without importing them, and prints a GroundswiftError, or that swift is not installed, as one plain
    message with exit status 1."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(SUBCOMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in SUBCOMMANDS:
            return None
        module, attribute, _ = SUBCOMMANDS[name]
        with without_collection():  # modules stay
            return getattr(import_module(module), attribute)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUBCOMMANDS[name][2]) for name in self.list_commands(context)])

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except click.ClickException as error:  # of a subcommand: what was typed may hold anything
            error.message = printable(error.message)[:MESSAGE]
            raise
        except GroundswiftError as error:
            echo(f"error: {error}", err=True)
            context.exit(1)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in OF_SWIFT:
                raise
            click.echo(f"error: this command needs ms-swift (no module {missing}): {EXTRA}", err=True)
            context.exit(1)


class Tools(NamedTuple):
    """What a command may use and may not import: `click.Context.obj`. lint counts tokens with swift, migrate converts rows by a format."""

    open_token_counter: Callable[[str, str | None, str | None], Callable[[dict], int]]
    convert_old_rows: Callable[[Path, Path, Path], None]


def open_token_counter(model: str, model_type: str | None, template: str | None) -> Callable[[dict], int]:
    """A function from a row to its number of tokens by swift's template. Raises GroundswiftError without swift or such a template."""
    try:
        encoding = import_module("groundswift.swift_plugins.tools.encoding")
    except ImportError as error:
        raise GroundswiftError(f"tokens are counted by swift's template, and swift cannot be loaded ({error}): {EXTRA}") from None
    return encoding.open_token_counter(model, model_type, template)


def convert_old_rows(source: Path, target: Path, images: Path) -> None:
    """Convert a file of swift 2.x rows, whose images are relative to `images`. Raises GroundswiftError."""
    engine = import_module("groundswift.data_converters.engine.convert")
    options = import_module("groundswift.data_converters.formats.swift2.source").Swift2Options(annotations=str(source), images=str(images))
    log = import_module("groundswift.data_converters.issues").IssueLog("stop")
    engine.convert_to_file(options, target, engine.RunOptions(progress=False), log)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.pass_context
def main(context: click.Context) -> None:
    """Detection and grounding for models that ms-swift trains.

    \b
    Example:
      groundswift convert coco annotations.json --images images/ --out train.jsonl
      swift sft --custom_register_path "$(groundswift plugin)" --dataset train.jsonl ...
      groundswift eval coco-map result.jsonl --gt annotations.json --family qwen2_vl --out report/

    \b
    Environment:
      GROUNDSWIFT_CACHE             folder for copies of remote files  [~/.cache/groundswift]
      GROUNDSWIFT_TIMEOUT           seconds to wait for a silent server  [20]
      GROUNDSWIFT_MAX_IMAGE_PIXELS  larger images are refused  [178956970]
    """
    context.obj = Tools(open_token_counter, convert_old_rows)


AREA = click.IntRange(1, 10**15)


@click.command()
@click.argument("name", required=False)
@click.option(
    "--check", "model", metavar="MODEL_DIR", help="Print which template fits a model folder, by its config.json; no weights are loaded."
)
@click.option("--ceiling", "truth", metavar="ANN.json", help="Score perfect answers on this ground truth (COCO), in each family's numbers.")
@click.option("--min-pixels", type=AREA, help="With --ceiling: MIN_PIXELS of the run (area in px).  [default: the family's]")
@click.option("--max-pixels", type=AREA, help="With --ceiling: MAX_PIXELS of the run (area in px).  [default: the family's]")
@click.option("--first-max-pixels", type=AREA, help="With --ceiling: --max_pixels of the swift command (area in px).  [default: none]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, for programs; with --check or --ceiling, an object.")
@click.option("--markdown", is_flag=True, help="Print the Markdown table of docs/families.md.")
def families(name: str | None, model: str | None, truth: str | None, as_json: bool, markdown: bool, **limits: int | None) -> None:
    """Show how each model family writes a box, in which space, and its known traps.

    NAME is a family or a swift model type; default: all families. `--ceiling` shows the AP that perfect answers reach: a family cannot
    write a box more exactly than its numbers are. `--check` looks at a model or checkpoint folder; its exit code is 1 where no template
    is known to fit.

    \b
    Example:
      groundswift families qwen2_5_vl
      groundswift families --check models/Qwen2.5-VL-3B-Instruct
      groundswift families --ceiling annotations.json --max-pixels 1003520
    """
    import json

    if truth is None and (given := [f"--{key.replace('_', '-')}" for key, value in limits.items() if value is not None]):
        raise click.UsageError(f"{', '.join(given)} needs --ceiling")
    if model is not None and (name or truth or markdown):
        raise click.UsageError("--check takes a model folder and, at most, --json")
    if model is not None:
        check = import_module("groundswift.model_check")
        found = check.check_model(Path(model))
        click.echo(json.dumps(found, ensure_ascii=False, indent=2) if as_json else check.text_of(found))
        raise SystemExit(0 if found["fits"] else 1)
    if truth is not None and markdown:
        raise click.UsageError("--ceiling prints text or, with --json, JSON; not --markdown")
    if truth is not None:
        ceiling = import_module("groundswift.eval.ceiling_command")
        document = ceiling.document_of(Path(truth), name, import_module("groundswift.image_resize").Limits(**limits))
        click.echo(json.dumps(document, ensure_ascii=False, indent=2) if as_json else ceiling.text_of(document))
        return
    from . import family_docs
    from .family import family_row, not_usable

    for problem in () if name else not_usable():
        echo(f"warning: {problem}", err=True)
    rows = (family_row(name),) if name else None
    if as_json:
        click.echo(json.dumps(family_docs.facts(rows), ensure_ascii=False, indent=2))
    else:
        click.echo(family_docs.markdown(rows) if markdown else family_docs.text(rows))


if __name__ == "__main__":
    sys.exit(main())
