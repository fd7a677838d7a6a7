"""`groundswift convert`: a subcommand per format, with the fields of the format's struct as options."""

from __future__ import annotations

import os
import tempfile
from contextlib import nullcontext
from copy import copy
from itertools import chain
from pathlib import Path
from typing import Any

import click
import msgspec

from groundswift.atomic_write import sigterm_as_exit
from groundswift.command_group import CommandGroup
from groundswift.errors import GroundswiftError, error_at
from groundswift.images import most_pixels
from groundswift.records import has_lone_surrogate
from groundswift.terminal import counted, echo, echo_json, one_line

from .base import Options, Totals, WholeOptions
from .cli_options import as_given, current_option, options_of, path_fields
from .engine.convert import RunOptions, convert_to_file
from .issues import IssueLog
from .registry import FORMATS

RUNNING = [  # options of every subcommand, in addition to those of its format
    click.Option(["--out"], type=click.Path(path_type=Path), metavar="FILE", help="Output file; unchanged if the command fails."),
    click.Option(["--dry-run"], is_flag=True, help="Check and count; write nothing."),
    click.Option(["--resume"], is_flag=True, help="Continue a killed run of the same command."),
    click.Option(
        ["--workers"],
        type=click.IntRange(min=1),
        show_default="one per CPU, at most 8",
        metavar="N",
        help="Worker processes; a small source is read by one.",
    ),
    click.Option(
        ["--engine"],
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where workers run: this machine, or Ray.",
    ),
    click.Option(["--json", "as_json"], is_flag=True, help="Print the counts as one JSON object."),
]
OF_ROWS = {"resume", "workers", "engine"}  # of formats that make row after row


class FormatGroup(CommandGroup):
    """A subcommand per format, built when it is used; one that cannot be loaded is named in the help, and the others work."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(FORMATS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return command_of(FORMATS[name]) if name in FORMATS else None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Formats"):
            formatter.write_dl([(name, each.summary) for name, each in FORMATS.loaded[0].items()])
        FORMATS.write_problems(formatter)


@click.group(cls=FormatGroup, context_settings={"help_option_names": ["-h", "--help"]})
def convert() -> None:
    """Turn annotations into rows for swift, and rows into other formats: one subcommand per format.

    Exit status: 0 done, 1 problems (or Ctrl-C), 2 wrong usage.

    \b
    Example:
      groundswift convert coco annotations.json --images images/ --out train.jsonl
    """


def command_of(struct: type[Options]) -> click.Command:
    """The subcommand of one format."""

    def run(**values: Any) -> None:
        running = {option.name: values.pop(option.name) for option in RUNNING}
        run_format(struct(**values), **running)

    params = [*options_of(struct), *running_of(struct)]
    names = {"token_normalize_func": current_option}
    return click.Command(struct.name, names, callback=run, params=params, help=struct.__doc__, short_help=struct.summary)


def running_of(struct: type[Options]) -> list[click.Option]:
    """Options of a subcommand besides those of its format. One that does not apply is hidden from help, and is an error if given."""
    running = list(map(copy, RUNNING))
    for option in running:
        option.hidden = issubclass(struct, WholeOptions) and option.name in OF_ROWS
    return running


def run_format(options: Options, out: Path | None, dry_run: bool, resume: bool, workers: int | None, engine: str, as_json: bool) -> None:
    """Convert and say what came out."""
    if not dry_run and out is None:
        raise click.UsageError("Missing option '--out' (or --dry-run).")
    check_encoding([out, *msgspec.structs.asdict(options).values()])
    check_outputs(options, out)
    most_pixels()  # an invalid setting is reported once here, not for every image
    log = IssueLog(options.on_error)
    target = None if dry_run else out
    try:
        with sigterm_as_exit(), tempfile.TemporaryDirectory() if dry_run else nullcontext() as elsewhere:
            if elsewhere is not None:
                options = with_outputs_in(elsewhere, options)
            totals = convert_to_file(options, target, RunOptions(workers, engine, resume), log)
    except (KeyboardInterrupt, SystemExit):
        goes_on = target is not None and not isinstance(options, WholeOptions)
        click.echo("stopped; run the same command with --resume to continue" if goes_on else "stopped", err=True)
        raise
    if as_json:
        counts = dict(log.counted.counts.most_common())
        echo_json(msgspec.json.encode(msgspec.to_builtins(totals) | {"counts": counts, "out": target and str(target)}))
    else:
        echo(summary(totals, log, target))


def check_encoding(values: list[Any]) -> None:
    """Raise GroundswiftError for an option whose bytes are no text: rows, which hold paths, names and questions, could not be written."""
    for value in chain.from_iterable(each if isinstance(each, tuple) else (each,) for each in values):
        if isinstance(value, str | Path) and has_lone_surrogate(os.path.abspath(value)):  # a path may begin in the working folder
            raise error_at(repr(str(value)), "not UTF-8", "UTF-8 text")


def check_outputs(options: Options, out: Path | None) -> None:
    """Raise GroundswiftError if an output is also an input, or if two outputs are the same file."""
    written = {"--out": out, "--coco-out": getattr(options, "coco_out", None)}
    read = {name: getattr(options, name) for name in path_fields(type(options)) if name != "coco_out"}
    taken = {
        os.path.realpath(path): "the annotation file" if name == "annotations" else f"what {as_given(name)} names"
        for name, path in reversed(read.items())  # the first option that names a file is the one reported
        if path
    }
    for option, path in written.items():
        if path is None:
            continue
        place = os.path.realpath(path)
        if place in taken:
            raise GroundswiftError(f"{path}: this is {taken[place]}; give another file to write")
        taken[place] = f"what {option} names"


def with_outputs_in(folder: str, options: Options) -> Options:
    """The same options, with all further outputs redirected to a temporary folder."""
    places = {"save_images": folder, "coco_out": f"{folder}/coco.json"}
    return msgspec.structs.replace(options, **{name: place for name, place in places.items() if getattr(options, name, None)})


def summary(totals: Totals, log: IssueLog, out: Path | None) -> str:
    """What a conversion prints: totals, then what was dropped or changed, one line per reason."""
    head = counted(totals.rows, "row")
    if totals.objects or totals.negatives:
        head += f", {counted(totals.objects, 'object')}, {counted(totals.negatives, 'row')} without objects"
    lines = [f"{head} -> {out}" if out else f"{head}; nothing written (--dry-run)"]
    if log.counted.counts:
        lines += ["dropped or changed:", *log.lines()]
    return "\n".join(map(one_line, lines))
