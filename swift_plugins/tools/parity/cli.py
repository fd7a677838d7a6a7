"""`groundswift parity`: the command. Result files are compared without swift and torch."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswift.eval.answers.cli_options import FILE, ON_ERROR, READING_OPTIONS, check_there
from groundswift.terminal import echo, echo_json, one_line

if TYPE_CHECKING:
    from groundswift.eval.answers.protocol import Rules
    from groundswift.eval.parity.answers import WayAnswers
    from groundswift.eval.parity.result import Parity

FILES = ("parity.json", "report.html", "report.md")
USABLE = re.compile(r"[\w.-]+")


class Named(click.ParamType):
    """NAME=VALUE as a pair."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[str, str]:
        name, equals, rest = str(value).partition("=")
        if not (name.strip() and equals and rest.strip()):
            self.fail(f"{value!r}; expected {self.name}", param, context)
        return name.strip(), rest.strip()


NAMED = Named()
WAY = (
    "MODEL, MODEL,ADAPTER or ADAPTER (folders or hub ids), any of them with :fp32, :bf16, :fp16, :bnb4 or :bnb8; MODEL:transformers, "
    "MODEL:onnx, MODEL:openvino or MODEL:openvino-fp32; http://HOST:PORT of an OpenAI-compatible server, or http://HOST:PORT,SERVED_MODEL."
)
SIZES = "Resize each image to WIDTHxHEIGHT px or by a factor (2x); `original`: as it is; may be repeated.  [default: original]"


@click.command()
@click.argument("rows", type=FILE, required=False, metavar="[ROWS.jsonl]")
@click.option("--way", "ways", type=NAMED, multiple=True, metavar="NAME=WAY", help=f"A way to run the model; may be repeated. {WAY}")
@click.option("--size", "sizes", multiple=True, metavar="SIZE", help=SIZES)
@click.option(
    "--draw", type=click.IntRange(min=1), metavar="N", help="Draw N images of shapes in the place of ROWS, with their ground truth."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N rows.")
@click.option("--blind", "is_blind", is_flag=True, help="Also ask the reference about blanked images.")
@click.option("--model-type", metavar="T", help="swift's model type, where it is not clear from the model.")
@click.option("--template", metavar="T", help="swift's template.  [default: the grounding template of the model's type, or the run's]")
@click.option("--swift", "swift_options", metavar="OPTIONS", default="", help="Options for all local ways: --swift '--attn_impl sdpa'.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=2048, show_default=True, help="Limit of an answer.")
@click.option("--batch-size", type=click.IntRange(min=1), default=1, show_default=True, help="Rows, or requests to a server, at once.")
@click.option("--result", "results", type=NAMED, multiple=True, metavar="NAME=FILE", help="A result file of one way; may be repeated.")
@click.option(
    "--blind-result", "blind_results", type=NAMED, multiple=True, metavar="NAME=FILE", help="Answers of that way to blanked images."
)
@click.option("--reference", metavar="NAME", help="The way that the others are compared with.  [default: the first]")
@click.option("--gt", "truth_path", type=FILE, help="COCO ground truth, for AP of each way.")
@click.option("--tolerance", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Loss of agreement that is allowed.")
@click.option("--files", nargs=2, type=FILE, metavar="BASE MERGED", help="Compare the tokenizer and processor files of two model folders.")
@click.option("--out", type=FILE, help="Folder for parity.json, report.html and report.md; needed but for --files.")
@click.option("--on-error", type=ON_ERROR, default="stop", show_default=True, help="Stop at missing or bad rows, or compare the rest.")
@READING_OPTIONS["family"]
@READING_OPTIONS["space"]
@READING_OPTIONS["min_pixels"]
@READING_OPTIONS["max_pixels"]
@READING_OPTIONS["first_max_pixels"]
@click.option("--report/--no-report", default=True, show_default=True, help="Write report.html and report.md.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of parity.json, and nothing else.")
@click.pass_context
def parity(context: click.Context, **options: Any) -> None:
    """Compare the answers of several ways to run one model: adapter, merged, quantised, exported, served.

    Each --way answers the questions of ROWS, greedily; --result takes answers that are there already. Texts, tokens and boxes of each way
    are compared with those of the reference, sample by sample: box IoU, shift in px by size of the image, the first token that differs
    with its log-probability gap, AP with --gt. Exit status 1 where the agreement of a way is below 1 - TOLERANCE on any size of images.
    Agreement is the mean IoU of a sample's boxes or, without boxes, whether the texts are equal.

    --files needs no answers: it names the files of the base model that a merged folder lacks, remote code too, with the commands that copy
    them, and settings that differ in meaning: tokens, chat template, image processor, end of the answer. Exit status 1 where there are any.

    \b
    Example:
      groundswift parity --files glm-4v-9b/ merged/
      groundswift parity rows.jsonl --way adapter=checkpoint-100 --way int4=merged/:bnb4 --size original --size 2x --out parity/
      groundswift parity rows.jsonl --way merged=merged/ --way served=http://127.0.0.1:8000 --gt annotations.json --out parity/
      groundswift parity --result adapter=a.jsonl --result merged=b.jsonl --gt annotations.json --out parity/
    """
    from groundswift.eval.artifacts import pretty_json
    from groundswift.eval.parity.result import document_of, lines_of

    if options["files"]:
        context.exit(compared_files(options))
    if options["out"] is None:
        raise click.UsageError("Missing option '--out'.")
    found = compared(options)
    document = document_of(found)
    written = write(found, document, options["out"], options["report"])
    if options["as_json"]:
        echo_json(pretty_json(document), nl=False)
    for line in [] if options["as_json"] else lines_of(found):
        echo(line)
    click.echo(f"wrote {', '.join(written)} into {options['out']}", err=options["as_json"])
    for way in found.differing:
        what = f"agreement {way.lowest_agreement:.3f} is below {1 - found.tolerance:g}"
        click.echo(f"{way.name} differs from {found.reference}: {what}", err=True)
    context.exit(1 if found.differing else 0)


def compared_files(options: dict[str, Any]) -> int:
    """Compare the files of two folders and print what is found -> the exit status. Raises click.UsageError for options about answers."""
    import json

    from groundswift.merged_files import compare_files

    given = [name for name in ("rows", "ways", "results", "blind_results", "draw", "out") if options[name]]
    if given:
        raise click.UsageError("--files compares folders, not answers; expected --files BASE MERGED and, at most, --json")
    report = compare_files(*options["files"])
    if options["as_json"]:
        echo_json(json.dumps(report.document(), ensure_ascii=False, indent=2))
    else:
        echo("\n".join(map(one_line, report.lines())))
    return 0 if report.fits else 1


def compared(options: dict[str, Any]) -> Parity:
    """Run the ways, read all result files and compare them. Raises GroundswiftError, and click.UsageError for what was typed."""
    from groundswift.atomic_folder import check_folder
    from groundswift.eval.ground_truth import read_truth
    from groundswift.eval.parity.result import parity_of

    names, out = names_of(options), options["out"]
    if options["draw"]:
        from .drawn import draw_rows

        options["rows"], options["truth_path"] = draw_rows(options["draw"], out / "drawn")
    truth_path = options["truth_path"]
    for path, expected in ((truth_path, "the ground truth, in COCO format"), (options["rows"], "rows of swift")):
        check_there(path, expected)
    check_folder(out, frozenset(FILES), keep_others=True)
    truth = read_truth(truth_path) if truth_path else None
    results, blind = run(options, names[0])
    reference = read(names[0], results[names[0]], options)
    answers = [reference, *(read(name, results[name], options, reference.rules) for name in names[1:])]
    of_blanked = [read(name, path, options, reference.rules) for name, path in blind.items()]
    return parity_of(answers, truth, options["tolerance"], options["on_error"], of_blanked)


def names_of(options: dict[str, Any]) -> list[str]:
    """The names of all ways, the reference first. Raises click.UsageError where they are unknown, unusable or not different."""
    names = [name for name, _ in (*options["ways"], *options["results"])]
    of_blanked = [name for name, _ in options["blind_results"]]
    for option, given in (("--way and --result", names), ("--blind-result", of_blanked)):
        if len(set(given)) < len(given):
            raise click.UsageError(f"{option}: the ways are named {', '.join(given)}; expected different names")
    for option, given in (("--reference", [options["reference"]]), ("--blind-result", of_blanked)):
        if unknown := [name for name in given if name is not None and name not in names]:
            raise click.UsageError(f"{option}: unknown way {unknown[0]!r}; expected one of {', '.join(names) or 'those of --way'}")
    if unusable := [name for name in names if not USABLE.fullmatch(name)]:
        raise click.UsageError(f"way {unusable[0]!r}: expected a name of letters, digits, dots, dashes and underscores")
    if options["draw"] and (options["rows"] or options["truth_path"]):
        raise click.UsageError("--draw makes rows and ground truth; expected no ROWS.jsonl and no --gt with it")
    if bool(options["ways"]) != bool(options["rows"] or options["draw"]):
        what = "--way needs ROWS.jsonl, the questions, or --draw" if options["ways"] else "ROWS.jsonl and --draw are for --way"
        raise click.UsageError(f"{what}; expected both")
    if len(names) < 2 and not of_blanked and not options["is_blind"]:
        raise click.UsageError("give at least two ways to compare")
    first = options["reference"] or names[0]
    return [first, *(name for name in names if name != first)]


def run(options: dict[str, Any], reference: str) -> tuple[dict[str, Path], dict[str, Path]]:
    """(result file of each way, and of each with blanked images): those that are given, and those of the ways that are run now."""
    given, of_blanked = ({name: Path(file) for name, file in options[key]} for key in ("results", "blind_results"))
    for name, path in (*given.items(), *of_blanked.items()):
        check_there(path, f"a result file of way {name}")
    if not options["ways"]:
        return given, of_blanked
    from .answering import Options
    from .questions import ORIGINAL, read_questions
    from .run_ways import IMAGES, run_ways
    from .ways import parse_way

    if options["is_blind"] and reference in given:
        raise click.UsageError(f"--blind asks the reference, and {reference} is a result file; expected --blind-result")
    ways = [parse_way(name, text) for name, text in options["ways"]]
    chosen = {name: options[name] for name in ("model_type", "template", "max_new_tokens", "batch_size")}
    questions = read_questions(options["rows"], options["sizes"] or (ORIGINAL,), options["out"] / IMAGES, options["limit"])
    settings = Options(swift_options=words_of(options["swift_options"]), **chosen)
    results, blind = run_ways(ways, questions, settings, options["out"], [reference] if options["is_blind"] else [])
    return given | results, of_blanked | blind


def words_of(text: str) -> tuple[str, ...]:
    """The words of --swift. Raises click.UsageError where a quote is not closed."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise click.UsageError(f"--swift {text!r}: {error}; expected options of swift") from None


def read(name: str, path: Path, options: dict[str, Any], otherwise: Rules | None = None) -> WayAnswers:
    """The answers in a file. Boxes are read by its record, else by the options, else as `otherwise`."""
    from groundswift.eval.answers.cli_options import rules_of_command
    from groundswift.eval.parity.answers import read_way
    from groundswift.run_record import record_of_result

    known = options["family"] is not None or record_of_result(path) is not None
    return read_way(name, path, rules_of_command(path, options) if known else otherwise, options["on_error"])


def write(found: Parity, document: dict[str, Any], out: Path, report: bool) -> list[str]:
    """Write the files into `out`, next to the answers, and return their names."""
    from groundswift.atomic_folder import replaced_folder
    from groundswift.atomic_write import write_whole
    from groundswift.eval.artifacts import pretty_json

    with replaced_folder(out, frozenset(FILES), keep_others=True) as folder:
        write_whole(folder / "parity.json", [pretty_json(document)])
        if report:
            from groundswift.eval.parity.report import write as write_report

            write_report(found, folder / "report.html", "Parity", out)
        return [name for name in FILES if (folder / name).exists()]
