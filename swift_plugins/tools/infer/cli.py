"""`groundswift infer`: the command. swift and torch are loaded when a row is answered, not for --help."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswift.errors import GroundswiftError
from groundswift.terminal import echo, echo_json

if TYPE_CHECKING:
    from .driver import Run, Summary
    from .settings import Settings

UNANSWERED = 3  # exit status
POSITIVE, AREA = click.IntRange(min=1), click.IntRange(min=1)
PATH = click.Path(path_type=str)


@click.command()
@click.argument("data", metavar="ROWS.jsonl|FOLDER", type=PATH)
@click.argument("swift_options", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS OF SWIFT]")
@click.option(
    "--out",
    required=True,
    type=PATH,
    metavar="RESULT.jsonl|FOLDER",
    help="The result, or the folder of several. The same command goes on where it stopped.",
)
@click.option("--model", metavar="M", help="A model's folder, its hub id, or a checkpoint of a full run.")
@click.option("--adapters", multiple=True, metavar="DIR", help="A LoRA checkpoint; its args.json names the model, unless --model does.")
@click.option("--url", metavar="URL", help="An OpenAI-compatible server instead of a model: http://127.0.0.1:8000/v1")
@click.option("--served-model", metavar="NAME", help="With --url: the model's name there.  [default: the only one]")
@click.option("--family", metavar="F", help="With --url: the model's family, for the run record that `groundswift eval` reads.")
@click.option(
    "--engine", type=click.Choice(["transformers", "vllm", "sglang", "lmdeploy"]), default="transformers", help="swift's infer_backend."
)
@click.option("--model-type", metavar="T", help="swift's model type, where it is not clear from the model.")
@click.option("--template", metavar="T", help="swift's template.  [default: the grounding template of the model's type, or the run's]")
@click.option("--classes", metavar="A,B,C", help="For a folder of images: the classes to detect in each.")
@click.option("--prompt", metavar="TEXT", help="For a folder: the question; {categories} is the list of classes.  [default: as in convert]")
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", help="Language of the default question.")
@click.option("--limit", type=POSITIVE, metavar="N", help="Only the first N rows or images.")
@click.option("--max-new-tokens", type=POSITIVE, default=2048, metavar="N", show_default=True, help="Longest answer, in tokens.")
@click.option("--temperature", type=click.FloatRange(min=0), default=0.0, metavar="T", show_default=True, help="0: greedy, repeatable.")
@click.option("--top-p", type=click.FloatRange(min=0, max=1, min_open=True), metavar="P", help="With --temperature: nucleus sampling.")
@click.option("--num-beams", type=POSITIVE, default=1, metavar="N", show_default=True, help="Beam search; log-probabilities do not fit it.")
@click.option("--repetition-penalty", type=click.FloatRange(min=0, min_open=True), metavar="P", help="Above 1: fewer repeated tokens.")
@click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", show_default=True, help="Of sampling.")
@click.option("--logprobs", is_flag=True, help="Keep token log-probabilities, for `groundswift eval ... --score logprob`.")
@click.option("--top-logprobs", type=click.IntRange(1, 20), metavar="N", help="With --logprobs: the N likeliest tokens at each place, too.")
@click.option("--min-pixels", type=AREA, metavar="N", help="Minimum area of the model input, px.  [default: the training's]")
@click.option("--max-pixels", type=AREA, metavar="N", help="Maximum area; with --url, what the server has.  [default: the training's]")
@click.option("--batch-size", type=POSITIVE, metavar="N", help="Rows at once; with --url requests at once.  [default: by their length; 16]")
@click.option(
    "--workers", type=POSITIVE, default=1, metavar="N", show_default=True, help="Processes, each with the model and its share of the GPUs."
)
@click.option("--ray", is_flag=True, help="The workers are actors of a Ray cluster: that of RAY_ADDRESS, or one on this machine.")
@click.option("--timeout", type=click.FloatRange(min=1), default=600.0, metavar="S", show_default=True, help="Of one request with --url.")
@click.option("--coco-out", type=PATH, metavar="FILE.json", help="Also write the boxes as COCO.")
@click.option("--categories", type=PATH, metavar="ANN.json", help="With --coco-out: write COCO results, with the ids of this COCO file.")
@click.option("--draw", type=PATH, metavar="DIR", help="Also draw the boxes on the images, one JPEG for each row.")
@click.option("--csv", "table", is_flag=True, help="Also write each result as CSV next to it: result.jsonl -> result.csv")
@click.option("--bom", is_flag=True, help="CSV with the mark by which spreadsheets know UTF-8.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def infer(
    as_json: bool, classes: str | None, coco_out: str | None, categories: str | None, draw: str | None, table: bool, bom: bool, **given: Any
) -> None:
    """Answer the rows of a file or a folder of files, or ask for classes in a folder of images; survives a kill.

    Answers are on the disk batch by batch. After a kill the same command goes on: every row gets exactly one answer. RESULT.jsonl appears
    when all rows are done, in their order, with RESULT.jsonl.run.json for `groundswift eval` and RESULT.jsonl.job.json, which says what
    was run: another model, adapter, pixel limit or sampling is refused. Rows whose image cannot be read, or that are too long, get the
    column `error`, and are tried again the next time.

    Of a folder of JSONL files each has a result of its own in the folder --out; the model is loaded once.

    Rows of about the same length are answered together, the longest first. Exit status: 0, or 3 if some rows have no answer.

    \b
    Example:
      groundswift infer val.jsonl --adapters output/checkpoint-100 --out result.jsonl
      groundswift infer parts/ --model merged/ --out results/ --csv --bom
      groundswift infer images/ --classes cat,dog --model Qwen/Qwen2.5-VL-7B-Instruct --out result.jsonl
      groundswift infer val.jsonl --url http://127.0.0.1:8000/v1 --family qwen3_vl --out result.jsonl
      groundswift eval coco-map result.jsonl --gt annotations.json --out report/
    """
    from .many_files import settings_of_files, write_table
    from .settings import Settings

    names = tuple(name for part in (classes or "").split(",") if (name := part.strip()))
    settings = Settings(classes=names, **given).check()
    check_forms(settings, coco_out, categories, draw, table, bom)
    leads = int(os.environ.get("RANK", "0")) == 0  # of torchrun's ranks, or the only process
    files = settings_of_files(settings)
    summaries = run_with_progress(files, leads)
    if not leads:
        return
    more = write_other_forms(settings, coco_out, categories, draw) + [write_table(Path(each.out), bom) for each in files if table]
    if as_json:
        echo_json(json.dumps(document_of(files, summaries, settings.holds_row_files) | {"written": more}))
    else:
        lines = [line for each, summary in zip(files, summaries, strict=True) for line in summary.lines(each.out)]
        echo("\n".join([*lines, *more]))
    if any(summary.failed for summary in summaries):
        click.get_current_context().exit(UNANSWERED)


def document_of(files: Sequence[Settings], summaries: Sequence[Summary], several: bool) -> dict[str, Any]:
    """What --json prints of all results, and of each where there may be `several`."""
    from .driver import Summary

    each_one = [{"out": each.out, **summary.document()} for each, summary in zip(files, summaries, strict=True)]
    return Summary.of_all(summaries).document() | ({"files": each_one} if several else {})


def check_forms(settings: Settings, coco_out: str | None, categories: str | None, draw: str | None, table: bool, bom: bool) -> None:
    """Raise click.UsageError where options about other forms of the result do not fit."""
    if categories is not None and coco_out is None:
        raise click.UsageError("--categories is for --coco-out")
    if bom and not table:
        raise click.UsageError("--bom is for --csv")
    if settings.holds_row_files and (coco_out or draw):
        raise click.UsageError(f"{'--coco-out' if coco_out else '--draw'} is for one result; expected one file of rows")


def ray_runner() -> Callable[[Run, Callable[[list[Any]], None]], Summary]:
    """What runs a job on Ray. Raises GroundswiftError where Ray is missing or too old, or torchrun already joins processes."""
    from groundswift.data_converters.engine.ray_cluster import ray_package

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise GroundswiftError("--ray with torchrun: both share the work; expected one of them")
    version = ray_package("--ray").__version__
    try:
        from .on_ray import run_on_ray
    except ImportError as error:
        raise GroundswiftError(f"--ray: ray {version} has no checkpoint ({error}); expected ray 2.60 or later") from None
    return run_on_ray


def run_with_progress(files: list[Settings], bar_wanted: bool = True) -> list[Summary]:
    """Run the job of each file with one bar on stderr, if that is a terminal; all are read before the model is loaded, which is once."""
    from tqdm import tqdm

    from .driver import Run

    first = Run.of(files[0])
    runs = [first, *(Run.of(each, first.job) for each in files[1:])]
    total = sum(len(run.questions) for run in runs)
    with tqdm(total=total, desc="infer", unit="row", disable=None if bar_wanted else True, dynamic_ncols=True) as bar:

        def advance(answers: list[Any]) -> None:
            bar.update(len(answers))

        make = engine_of(first)
        return [answered(run, make, advance) for run in runs]


def answered(run: Run, make: Callable[[], Any], advance: Callable[[list[Any]], None]) -> Summary:
    """Run one job in the way that its settings and the environment say."""
    from .driver import run_alone

    if run.settings.ray:
        return ray_runner()(run, advance)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from .workers import run_as_rank

        return run_as_rank(run, make, advance)
    if run.settings.workers > 1:
        from .workers import run_in_workers

        return run_in_workers(run, advance)
    return run_alone(run, make, advance)


def write_other_forms(settings: Settings, coco_out: str | None, categories: str | None, folder: str | None) -> list[str]:
    """Write a result as COCO and as drawings, where they are asked for -> a line for each."""
    if coco_out is None and folder is None:
        return []
    from .outputs import draw_all, found_in, write_coco

    found = found_in(Path(settings.out))
    lines = [write_coco(Path(coco_out), found, categories, settings.classes)] if coco_out is not None else []
    return lines + ([draw_all(Path(folder), found)] if folder is not None else [])


def engine_of(run: Run) -> Callable[[], Any]:
    """What makes the engine of a run and of those with the same model: a server's clients are new, a local model is loaded once."""
    if run.settings.url is not None:
        from .server import Server

        return lambda: Server(run.settings)

    @cache
    def load() -> Any:
        from .engine import SwiftEngine

        return SwiftEngine(run.settings, run.pixels)

    return load
