"""`groundswift parity`: the command. Result files are compared without swift and torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswift.eval.answers.cli_options import FILE, ON_ERROR, READING_OPTIONS, check_there

if TYPE_CHECKING:
    from groundswift.eval.answers.protocol import Rules
    from groundswift.eval.parity.answers import WayAnswers
    from groundswift.eval.parity.result import Parity

FILES = frozenset({"parity.json", "report.html"})


class Named(click.ParamType):
    """NAME=VALUE as a pair."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[str, str]:
        name, equals, rest = str(value).partition("=")
        if not (name.strip() and equals and rest.strip()):
            self.fail(f"{value!r}; expected {self.name}", param, context)
        return name.strip(), rest.strip()


NAMED = Named()


@click.command()
@click.option("--result", "results", type=NAMED, multiple=True, metavar="NAME=FILE", help="A result file of one way; may be repeated.")
@click.option("--blind-result", "blind", type=NAMED, multiple=True, metavar="NAME=FILE", help="Answers of that way to blanked images.")
@click.option("--reference", metavar="NAME", help="The way that the others are compared with.  [default: the first]")
@click.option("--gt", "truth_path", type=FILE, help="COCO ground truth, for AP of each way.")
@click.option("--tolerance", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Loss of agreement that is allowed.")
@click.option("--out", type=FILE, required=True, help="Folder for parity.json and report.html.")
@click.option("--on-error", type=ON_ERROR, default="stop", show_default=True, help="Stop at missing or bad rows, or compare the rest.")
@READING_OPTIONS["family"]
@READING_OPTIONS["space"]
@READING_OPTIONS["min_pixels"]
@READING_OPTIONS["max_pixels"]
@READING_OPTIONS["first_max_pixels"]
@click.option("--report/--no-report", default=True, show_default=True, help="Write report.html.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of parity.json, and nothing else.")
@click.pass_context
def parity(context: click.Context, **options: Any) -> None:
    """Compare the answers of several ways to run one model: adapter, merged, quantised, exported, served.

    Texts, tokens and boxes of each way are compared with those of the reference, sample by sample: box IoU, shift in px by size of the
    image, the first token that differs with its log-probability gap, AP with --gt. Exit status 1 where the agreement of a way is below
    1 - TOLERANCE on any size of images. Agreement is the mean IoU of a sample's boxes or, without boxes, whether the texts are equal.

    \b
    Example:
      groundswift parity --result adapter=a.jsonl --result merged=b.jsonl --gt annotations.json --out parity/
    """
    from groundswift.eval.artifacts import pretty_json
    from groundswift.eval.parity.result import document_of, lines_of

    found = compared(options)
    document = document_of(found)
    written = write(found, document, options["out"], options["report"])
    if options["as_json"]:
        click.echo(pretty_json(document), nl=False)
    for line in [] if options["as_json"] else lines_of(found):
        click.echo(line)
    click.echo(f"wrote {', '.join(written)} into {options['out']}", err=options["as_json"])
    for way in found.differing:
        what = f"agreement {way.lowest_agreement:.3f} is below {1 - found.tolerance:g}"
        click.echo(f"{way.name} differs from {found.reference}: {what}", err=True)
    context.exit(1 if found.differing else 0)


def compared(options: dict[str, Any]) -> Parity:
    """Read all result files and compare them. Raises GroundswiftError, and click.UsageError for what was typed."""
    from groundswift.atomic_folder import check_folder
    from groundswift.eval.ground_truth import read_truth
    from groundswift.eval.parity.result import parity_of

    results, truth_path, out = dict(options["results"]), options["truth_path"], options["out"]
    check_names(options)
    check_there(truth_path, "the ground truth, in COCO format")
    check_folder(out, FILES, keep_others=True)
    first = options["reference"] or next(iter(results))
    names = [first, *(name for name in results if name != first)]
    reference = read(first, results[first], options)
    answers = [reference, *(read(name, results[name], options, reference.rules) for name in names[1:])]
    blind = [read(name, path, options, reference.rules) for name, path in options["blind"]]
    truth = read_truth(truth_path) if truth_path else None
    return parity_of(answers, truth, options["tolerance"], options["on_error"], blind)


def check_names(options: dict[str, Any]) -> None:
    """Raises click.UsageError where names of ways are unknown, or are not different."""
    for option, pairs in (("--result", options["results"]), ("--blind-result", options["blind"])):
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise click.UsageError(f"{option}: the ways are named {', '.join(names)}; expected different names")
    names = [name for name, _ in options["results"]]
    for option, given in (("--reference", [options["reference"]]), ("--blind-result", [name for name, _ in options["blind"]])):
        if unknown := [name for name in given if name is not None and name not in names]:
            raise click.UsageError(f"{option}: unknown way {unknown[0]!r}; expected one of {', '.join(names) or 'those of --result'}")
    if len(names) < 2 and not options["blind"]:
        raise click.UsageError("give at least two ways to compare")


def read(name: str, file: str, options: dict[str, Any], otherwise: Rules | None = None) -> WayAnswers:
    """The answers in a file. Boxes are read by its record, else by the options, else as `otherwise`."""
    from groundswift.eval.answers.cli_options import rules_of_command
    from groundswift.eval.parity.answers import read_way
    from groundswift.run_record import record_of_result

    path = Path(file)
    check_there(path, f"a result file of way {name}")
    known = options["family"] is not None or record_of_result(path) is not None
    return read_way(name, path, rules_of_command(path, options) if known else otherwise, options["on_error"])


def write(found: Parity, document: dict[str, Any], out: Path, report: bool) -> list[str]:
    """Write the files into `out`, next to the answers, and return their names."""
    from groundswift.atomic_folder import replaced_folder
    from groundswift.atomic_write import write_whole
    from groundswift.eval.artifacts import pretty_json

    with replaced_folder(out, FILES, keep_others=True) as folder:
        write_whole(folder / "parity.json", [pretty_json(document)])
        if report:
            from groundswift.eval.parity.report import write as write_report

            write_report(found, folder / "report.html", "Parity")
    return ["parity.json", *(["report.html"] if report else [])]
