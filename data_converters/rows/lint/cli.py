"""`groundswift lint`: check rows before training."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from groundswift.atomic_write import write_whole
from groundswift.errors import GroundswiftError
from groundswift.family import family_row
from groundswift.terminal import echo, echo_json
from groundswift.worker_pool import WorkerPool, processors

from ..two_passes import bytes_bar
from .block_check import LintOptions
from .checks_images import ImageChecks
from .checks_rows import TokenCounter
from .findings import Findings
from .lint_result import Lint
from .other_set import images_of
from .report import document, text
from .rules import rules_text
from .run import lint_lines

READABLE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


def print_rules(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """Print the table of rules and exit."""
    if wanted and not context.resilient_parsing:
        click.echo(rules_text())
        context.exit()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("data", metavar="DATA.jsonl...", nargs=-1, required=True, type=READABLE)
@click.option("--family", metavar="F", help="Check labels for this family.  [default: for all families]")
@click.option("--against", type=READABLE, metavar="OTHER.jsonl", help="Report images that this other set has too, by path or content.")
@click.option("--max-pixels", type=click.IntRange(min=1), metavar="N", help="Report images with more pixels than N.")
@click.option("--check-images/--no-check-images", default=True, help="Open images, or trust size_wh.  [default: open]")
@click.option("--decode", is_flag=True, help="Decode all images.  [default: read their headers]")
@click.option(
    "--max-length", type=click.IntRange(min=1), metavar="N", help="Report rows of more tokens, counted by swift's template; needs --model."
)
@click.option("--model", metavar="FOLDER", help="Model whose template counts the tokens.")
@click.option("--model-type", metavar="T", help="Model type, if swift cannot tell it from the folder.")
@click.option("--template", metavar="T", help="Template.  [default: the grounding template of the model type]")
@click.option("--fix", type=click.Path(path_type=Path), metavar="OUT.jsonl", help="Write the rows, fixed where that is safe.")
@click.option("--strict", is_flag=True, help="Exit with status 1 for warnings too.")
@click.option("--examples", type=click.IntRange(min=0), default=3, show_default=True, help="Findings shown per rule.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Check only the first N rows.")
@click.option("--workers", type=click.IntRange(1, 64), metavar="N", help="Processes.  [default: one per CPU, at most 8]")
@click.option("--rules", is_flag=True, is_eager=True, expose_value=False, callback=print_rules, help="Print the table of rules and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def lint(
    context: click.Context, data: tuple[Path, ...], fix: Path | None, strict: bool, as_json: bool, examples: int, **asked: object
) -> None:
    """Find rows (JSONL) that swift silently drops, replaces or trains on wrongly.

    Each finding has its rule's id, file and line, what was found and what was expected, what swift does with it, and a fix; --rules
    lists all rules. Nothing is converted and no coordinate space is guessed: boxes that look like another format are reported.

    \b
    --fix OUT.jsonl writes a corrected copy. It
      - puts corners in order and clips boxes to their image;
      - drops empty, outside and duplicate boxes with their placeholders, if the
        answer has only boxes and one remains;
      - sets a missing size_wh, unless the image is EXIF-rotated and has boxes.
    All else stays as it is, and every change is counted. --fix does not change
    the exit status.

    \b
    Exit status: 0 no errors, 1 errors (with --strict also warnings), 2 wrong usage.

    \b
    Example:
      groundswift lint train.jsonl --against val.jsonl --family qwen2_5_vl
      groundswift lint train.jsonl --max-length 4096 --model Qwen2.5-VL-7B-Instruct/ --json
    """
    check_use(data, fix, asked)
    files = [str(path) for path in data]
    found = Lint(files, Findings(examples))
    counts = asked["max_length"] is not None
    counter = context.obj.open_token_counter(asked["model"], asked["model_type"], asked["template"]) if counts else None
    with bytes_bar(files, "lint") as bar, WorkerPool(asked["workers"] or processors()) as pool:
        lines = lint_lines(files, options_of(asked, counter), found, fix is not None, bar.update, pool)
        deque(lines, maxlen=0) if fix is None else write_whole(fix, lines)
    written_to = None if fix is None else str(fix)
    echo_json(msgspec.json.encode(document(found, written_to))) if as_json else echo(text(found, written_to))
    if found.findings.of("error") or (strict and found.findings.of("warning")):
        context.exit(1)


def check_use(data: Sequence[Path], fix: Path | None, asked: dict[str, object]) -> None:
    """Raises click.UsageError if options contradict each other."""
    if asked["max_length"] is not None and asked["model"] is None:
        raise click.UsageError("--max-length needs --model, whose template counts the tokens.")
    if asked["model"] is not None and asked["max_length"] is None:
        raise click.UsageError("--model needs --max-length.")
    for option in ("decode", "max_pixels", "against"):
        if asked[option] and not asked["check_images"]:
            raise click.UsageError(f"--{option.replace('_', '-')} needs the images: remove --no-check-images.")
    if asked["family"] is not None:
        try:
            family_row(str(asked["family"]))
        except GroundswiftError as error:
            raise click.UsageError(str(error)) from None
    if fix is None:
        return
    if len(data) > 1 or asked["limit"] is not None:
        raise click.UsageError("--fix takes one whole file: one DATA.jsonl, and no --limit.")
    if os.path.exists(fix) and any(other and os.path.samefile(fix, other) for other in (*data, asked["against"])):
        raise click.UsageError(f"--fix {fix} is an input file; give another one.")


def options_of(asked: dict[str, object], counter: TokenCounter | None) -> LintOptions:
    """The options of a pass; reads the other set for --against."""
    against = asked["against"]
    images = ImageChecks(asked["max_pixels"], bool(asked["decode"]), against is not None) if asked["check_images"] else None
    return LintOptions(
        images=images,
        family=asked["family"],
        counter=counter,
        max_length=asked["max_length"] or 0,
        against=None if against is None else images_of(against, images),
        limit=asked["limit"],
    )
