"""`groundswift lint`: rows are checked before a training run meets them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from groundswift.atomic_write import write_whole
from groundswift.errors import GroundswiftError
from groundswift.family import family_row
from groundswift.terminal import echo, echo_json

from .checks_images import Looker
from .findings import Findings
from .report import document, text
from .rules import rules_text
from .run import Lint, LintOptions, images_of, lint_lines
from .token_lengths import Counter

READABLE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


def print_rules(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """Print the table of rules and leave."""
    if wanted and not context.resilient_parsing:
        click.echo(rules_text())
        context.exit()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("data", metavar="DATA.jsonl...", nargs=-1, required=True, type=READABLE)
@click.option("--family", metavar="F", help="Check the labels as this family writes them.  [default: as any family would]")
@click.option("--against", type=READABLE, metavar="OTHER.jsonl", help="Tell which images this other set has too, by path or content.")
@click.option("--max-pixels", type=click.IntRange(min=1), metavar="N", help="Tell which images have more pixels than this.")
@click.option("--check-images/--no-check-images", default=True, help="Whether to open the pictures, or go by size_wh.")
@click.option("--decode", is_flag=True, help="Decode all pictures; without it their headers are read.")
@click.option("--max-length", type=click.IntRange(min=1), metavar="N", help="Count tokens by swift's template; needs --model.")
@click.option("--model", metavar="FOLDER", help="The model whose template counts the tokens.")
@click.option("--model-type", metavar="T", help="Its model type, where swift cannot tell.")
@click.option("--template", metavar="T", help="Its template.  [default: the grounding template of the model type]")
@click.option("--fix", type=click.Path(path_type=Path), metavar="OUT.jsonl", help="Write the rows, mended where it is safe.")
@click.option("--strict", is_flag=True, help="Leave with status 1 for warnings too.")
@click.option("--examples", type=click.IntRange(min=0), default=3, show_default=True, help="How many findings of a rule to show.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N rows.")
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Threads that open pictures.")
@click.option("--rules", is_flag=True, is_eager=True, expose_value=False, callback=print_rules, help="Print the table of rules.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def lint(
    context: click.Context, data: tuple[Path, ...], fix: Path | None, strict: bool, as_json: bool, examples: int, **asked: object
) -> None:
    """Check swift rows (JSONL) for what swift drops, replaces or trains on in silence.

    Every finding says file and line, what was found and what was expected, what swift does with it and how to mend it; --rules
    prints them all. Nothing is converted and no space is guessed: what looks like another format is told with its evidence.

    \b
    --fix OUT.jsonl writes a copy, whole or not at all, with
      corners put in order, boxes cut at the border of their image,
      boxes without area, outside their image or repeated left out with their placeholders, where the answer is made of
      boxes alone and one is left,
      size_wh set where it is missing and the picture is stored upright;
    everything else stays as it is, and what was changed is counted. The exit status is that of the file that was checked.

    \b
    Exit status: 0 no errors, 1 errors (with --strict: or warnings), 2 wrong use.

    \b
    Example:
      groundswift lint train.jsonl --against val.jsonl --family qwen2_5_vl
      groundswift lint train.jsonl --max-length 4096 --model Qwen2.5-VL-7B-Instruct/ --json
    """
    check_use(data, fix, asked)
    files = [str(path) for path in data]
    found = Lint(files, Findings(examples))
    lines = watched(files, options_of(asked, examples, token_counter(context, asked)), found, fix is not None)
    if fix is None:
        for _ in lines:
            pass
    else:
        write_whole(fix, lines)
    written_to = None if fix is None else str(fix)
    echo_json(msgspec.json.encode(document(found, written_to))) if as_json else echo(text(found, written_to))
    if found.findings.of("error") or (strict and found.findings.of("warning")):
        context.exit(1)


def check_use(data: Sequence[Path], fix: Path | None, asked: dict[str, object]) -> None:
    """Raises click.UsageError where options contradict each other."""
    if asked["max_length"] is not None and asked["model"] is None:
        raise click.UsageError("--max-length needs --model, whose template counts the tokens.")
    if asked["model"] is not None and asked["max_length"] is None:
        raise click.UsageError("--model needs --max-length.")
    for option in ("decode", "max_pixels", "against"):
        if asked[option] and not asked["check_images"]:
            raise click.UsageError(f"--{option.replace('_', '-')} needs the pictures; leave --no-check-images out.")
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
        raise click.UsageError(f"--fix {fix} is a file that is read; give another one.")


def token_counter(context: click.Context, asked: dict[str, object]) -> Counter | None:
    """What counts the tokens of a row, where that is asked for; `context.obj` are the `Tools` of the command line."""
    if asked["max_length"] is None:
        return None
    return context.obj.open_token_counter(asked["model"], asked["model_type"], asked["template"])


def options_of(asked: dict[str, object], examples: int, counter: Counter | None) -> LintOptions:
    """The command's options as those of a pass; reads the other set where one is asked for."""
    against = asked["against"]
    looker = None
    if asked["check_images"]:
        looker = Looker(asked["max_pixels"], bool(asked["decode"]), against is not None)
    return LintOptions(
        looker=looker,
        family=asked["family"],
        counter=counter,
        max_length=asked["max_length"] or 0,
        against=None if against is None else images_of(against, looker),
        workers=asked["workers"],
        limit=asked["limit"],
        examples=examples,
    )


def watched(files: list[str], options: LintOptions, found: Lint, fix: bool):
    """The lines of a pass, with a progress bar over the bytes."""
    from tqdm import tqdm

    total = sum(os.path.getsize(path) for path in files)
    with tqdm(total=total, desc="lint", unit="B", unit_scale=True, disable=None) as bar:
        yield from lint_lines(files, options, found, fix, bar.update)
