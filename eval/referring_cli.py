"""`groundswift eval referring`: one question, one box."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswift.grammars.parse_warnings import warning_lines

from .answers.cli_options import FILE, ON_ERROR, check_there, reading_options, rules_of_command

if TYPE_CHECKING:
    from .answers.referring_results import Asked
    from .answers.unlabelled_boxes import BareAnswers


@click.command("referring")
@click.argument("result", type=FILE)
@click.option(
    "--rows", type=FILE, help="The rows that were asked: a row without an answer in RESULT counts as wrong. Default: the rows of RESULT."
)
@click.option("--out", type=FILE, help="Folder for metrics.json.")
@reading_options
@click.option("--on-error", type=ON_ERROR, default="stop", show_default=True, help="Stop at bad rows, or drop and count them.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of metrics.json, and nothing else.")
def referring(result: Path, rows: Path | None, out: Path | None, as_json: bool, **options: Any) -> None:
    """Accuracy at IoU 0.5 and mean IoU of RESULT, where each row asks for one object and its answer is a box without a label.

    The true box is the row's own, in `objects`. The first box of an answer counts. An answer that cannot be read, or has no box, is wrong.

    \b
    Example:
      groundswift eval referring result.jsonl --out scored/
      groundswift eval referring result.jsonl --rows val.jsonl --family qwen3_vl --json
    """
    check_there(result, "the rows that swift infer wrote")
    check_there(rows, "the rows that were asked")
    rules = rules_of_command(result, options)
    from groundswift.atomic_write import write_whole

    from .answers.referring_results import read_asked, score_asked
    from .artifacts import pretty_json, referring_protocol
    from .output_folder import check_folder, new_folder

    if out is not None:
        check_folder(out)
    asked = read_asked(result, rows, rules, options["on_error"])
    score, answers, mismatch = score_asked(asked, rules)
    document = {
        **score,
        "counts": {**score["counts"], **_counts(asked, answers)},
        "warnings": [] if mismatch is None else [mismatch.document()],
        "protocol": referring_protocol(result, rows, rules),
    }
    if out is not None:
        with new_folder(out) as folder:
            write_whole(folder / "metrics.json", [pretty_json(document)])
    if as_json:
        click.echo(pretty_json(document), nl=False)
    for line in _lines(document, asked, answers):
        click.echo(line, err=as_json)
    if mismatch is not None:
        click.echo(f"WARNING: {mismatch.text()}", err=True)
    if out is not None:
        click.echo(f"wrote metrics.json into {out}", err=as_json)


def _counts(asked: Asked, answers: BareAnswers) -> dict[str, Any]:
    counts = answers.counts
    return {
        "rows": asked.rows,
        "statuses": {status: counts.statuses[status] for status in ("ok", "empty", "truncated", "unreadable", "missing")},
        "reasons": dict(counts.reasons.most_common()),
        "rows_left_out": dict(asked.left_out.counts),
        "dropped": dict(counts.dropped.counts),
        "changed": dict(counts.changed.counts),
    }


def _lines(document: dict[str, Any], asked: Asked, answers: BareAnswers) -> list[str]:
    from .metrics.referring import NUMBERS

    protocol, counts = document["protocol"], document["counts"]
    statuses = ", ".join(f"{number} {status}" for status, number in counts["statuses"].items() if number)
    lines = [f"{title:<20} {document[key]:.3f}" for key, title in NUMBERS.items()]
    lines += [
        "",
        f"protocol: family {protocol['family']}, boxes in {protocol['space']} (declared by {protocol['space_declared_by']})",
        f"          right at IoU {protocol['iou_threshold']} or more; {protocol['several_boxes']}",
        "",
        f"samples: {counts['samples']}, {counts['right']} right; answers: {statuses}",
        f"         {counts['without_box']} without a box, {counts['with_several_boxes']} with several",
    ]
    tallies = (("rows left out", asked.left_out), ("dropped", answers.counts.dropped), ("changed", answers.counts.changed))
    for title, tally in tallies:
        lines += [f"{title}:", *tally.lines()] if tally.counts else []
    if counts["reasons"]:
        lines += ["parse warnings:", *warning_lines(counts["reasons"])]
    return lines
