"""`groundswift anomaly ask`: a model at a server of chat completions writes questions and answers about images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import msgspec

from groundswift.atomic_write import sigterm_as_exit, write_whole
from groundswift.chat_client import Asker, ChatClient, Limits
from groundswift.chat_options import fields_of, key_of
from groundswift.errors import error_at
from groundswift.records import encode_row
from groundswift.terminal import counted, echo, echo_json, one_line
from groundswift.urls import is_web, shown

from ..issues import IssueLog, OnError
from .answer_rows import AnswerReader
from .asking import Asking, RawAnswer, Settings, read_requests
from .local_server import served
from .questions import Questions

INSTALL = "pip install 'groundswift[text-eval]'"
ASKER = Asker("anomaly ask: model", "the URL up to /v1 (--base-url), a model it serves (--model) and its key (--key-env)", INSTALL)
LOCAL = "http://127.0.0.1:8000/v1"  # where `swift deploy` serves
SOME_FAILED = 3  # exit status
SERVED_FIELD = "max_tokens=1024"  # `swift deploy` writes to the end of the context otherwise, also when nobody waits any more


class AskReport(msgspec.Struct):
    """What was asked and what came back. `kept`: answers of earlier runs; tokens and cost are of all answers; `counts` by id."""

    requests: int
    asked: int
    kept: int
    repeated: int
    failed: int
    rows: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None
    model: str
    counts: dict[str, int]
    out: str
    answers: str


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="REQUESTS.jsonl")
@click.argument("deploy_words", metavar="[-- DEPLOY OPTIONS...]", nargs=-1, type=click.UNPROCESSED)
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="JSONL file of rows to write.")
@click.option("--base-url", metavar="URL", help=f"Server with OpenAI's API, up to /v1.  [default: {LOCAL}]")
@click.option("--serve", metavar="MODEL", help="Serve this model here by `swift deploy` while the command runs, in place of --base-url.")
@click.option("--model", metavar="NAME", help="Model of the server.  [default: the only one that it lists]")
@click.option("--key-env", metavar="NAME", help="Environment variable with the API key; nothing else is read.  [default: no key]")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=JSON",
    help=f"Field of the request, such as max_tokens=512; may be repeated.  [default with --serve: {SERVED_FIELD}]",
)
@click.option("--workers", type=click.IntRange(1, 256), default=8, show_default=True, help="Requests at a time.")
@click.option("--rate", type=click.FloatRange(0.1), metavar="N", help="Requests a minute, at most.  [default: no limit]")
@click.option("--retries", type=click.IntRange(0, 20), default=5, show_default=True, help="Repeated requests, with growing waits.")
@click.option("--timeout", type=click.FloatRange(0.1, 3600), default=120, show_default=True, help="Seconds for a reply.")
@click.option("--price", type=(float, float), metavar="IN OUT", help="Price of a million tokens of prompt and of answer, for the cost.")
@click.option(
    "--answers", type=click.Choice(["all", "ab"]), default="all", show_default=True, help="Keep all pairs, or those answered A or B."
)
@click.option("--question", metavar="TEXT", help="Take each whole text as the answer to this question, instead of reading pairs.")
@click.option("--questions", metavar="FILE", help="YAML file of your own questions (`described`, `words`).  [default: built-in]")
@click.option("--answers-file", type=click.Path(path_type=Path), metavar="FILE", help="Raw answers.  [default: OUT with .answers.jsonl]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything that is sampled.")
@click.option(
    "--on-error", type=click.Choice(["stop", "skip"]), default="stop", show_default=True, help="Stop at unusable requests, or skip."
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object.")
def ask(source: str, on_error: OnError, as_json: bool, serve: str | None, deploy_words: Sequence[str], **options: Any) -> None:
    """Let a model write questions and answers about images, or describe scenes.

    REQUESTS.jsonl is of `anomaly crop --requests`, `draw --requests` or `describe`. Each request is sent with its images; what comes
    back is stored as it is (--answers-file), then read: pairs of lines `Q: ...` and `A: ...` (also in Chinese, or as JSON), or
    description, verdict and reason. Rows are written in the order of the requests.

    A killed run loses what was on its way: the same command asks only what has no answer. 429, 5xx, silence and lost connections are
    tried again. Refusals and what cannot be read are counted by id, and so is a verdict that is not that of the labels.

    Exit status: 0 done, 1 problems (or Ctrl-C), 2 wrong usage, 3 some requests have no answer; the same command tries them again.

    \b
    Example:
      groundswift anomaly ask bare.requests.jsonl --serve Qwen/Qwen2.5-VL-3B-Instruct --out described.jsonl
      groundswift anomaly ask local.requests.jsonl --base-url https://api.openai.com/v1 --model gpt-4o --key-env OPENAI_API_KEY \\
        --rate 60 --price 2.5 10 --out asked.jsonl
    """
    if serve and options["base_url"]:
        raise click.UsageError("--serve and --base-url name two servers; expected one of them")
    if deploy_words and not serve:
        raise click.UsageError("options of `swift deploy` need --serve")
    if serve:
        options["fields"] = (SERVED_FIELD, *options["fields"])  # the last of a name counts
    log = IssueLog(on_error)
    requests = read_requests(source, log)
    log.settle(source, in_sets=False)
    if not requests:
        raise log.nothing_left(source, "no request in it; expected lines that `anomaly describe` writes")
    try:
        with sigterm_as_exit(), served(serve, deploy_words) if serve else nullcontext(options.pop("base_url") or LOCAL) as url:
            options.pop("base_url", None)
            report = asked(requests, url, log, **options)
    except (KeyboardInterrupt, SystemExit):
        click.echo("stopped; run the same command again to continue", err=True)
        raise
    echo_json(msgspec.json.encode(report)) if as_json else echo(summary(report, log))
    if report.failed:
        click.get_current_context().exit(SOME_FAILED)


def asked(requests: Sequence[tuple], url: str, log: IssueLog, out: Path, answers_file: Path | None, seed: int, **options: Any) -> AskReport:
    """Ask everything, write the rows, and say what came back."""
    if not is_web(url):
        raise error_at("--base-url", repr(url), "http://HOST:PORT/v1")
    languages = {request.language for request, _ in requests}
    questions = Questions.read(options["questions"], "both" if len(languages) > 1 else languages.pop(), seed)
    client = ChatClient(url, key_of("--key-env", options["key_env"]), Limits(options["timeout"], 0), ASKER)
    settings = Settings(
        options["model"] or only_model(client),
        fields_of("--field", options["fields"]),
        options["workers"],
        options["rate"],
        options["retries"],
    )
    kept = answers_file or out.with_suffix(".answers.jsonl")
    run = Asking(client, settings, kept)
    answers = run.run([request for request, _ in requests])
    reader = AnswerReader(questions, options["answers"] == "ab", options["question"], log)
    rows = [row for (request, size_wh), answer in zip(requests, answers, strict=True) for row in reader.rows(request, size_wh, answer)]
    if not rows:
        said = next((answer.text for answer in answers if answer.text), "")
        raise log.nothing_left(out, "nothing to write: no answer can be used" + (f"; the first is {said[:200]!r}" if said else ""))
    write_whole(out, map(encode_row, rows))
    return reported(answers, len(rows), run, options["price"], log, str(out), str(kept))


def reported(
    answers: Sequence[RawAnswer], rows: int, run: Asking, price: tuple[float, float] | None, log: IssueLog, out: str, kept: str
) -> AskReport:
    """The counts of a run. Tokens are None where the server states none."""
    prompt, completion = (
        sum(found) if (found := [n for answer in answers if (n := getattr(answer, name)) is not None]) else None
        for name in ("prompt_tokens", "completion_tokens")
    )
    cost = None if price is None or prompt is None or completion is None else (prompt * price[0] + completion * price[1]) / 1e6
    failed = sum(not answer.is_final for answer in answers)
    counts = dict(log.counted.counts.most_common())
    fields = (len(answers), run.asked, len(answers) - run.asked, run.repeated, failed, rows, prompt, completion, cost)
    return AskReport(*fields, run.settings.model, counts, out, kept)


def only_model(client: ChatClient) -> str:
    """The model that a server lists. Raises GroundswiftError where that is not clear."""
    names = client.models()
    if len(names) != 1:
        raise error_at(shown(client.url), f"serves {counted(len(names), 'model')}: {', '.join(names)[:500]}", "--model, one of them")
    return names[0]


def summary(report: AskReport, log: IssueLog) -> str:
    """What the command prints."""
    lines = [f"{counted(report.rows, 'row')} of {counted(report.requests, 'request')} to {report.model} -> {report.out}"]
    lines.append(f"asked {report.asked} ({report.repeated} repetitions), {report.kept} answers kept from before -> {report.answers}")
    if report.prompt_tokens is not None:
        cost = "" if report.cost is None else f", cost {report.cost:.4f}"
        lines.append(f"tokens: {report.prompt_tokens} of prompts, {report.completion_tokens} of answers{cost}")
    if report.failed:
        lines.append(f"{counted(report.failed, 'request')} without an answer: run the same command again")
    if log.counted.counts:
        lines += ["dropped:", *log.lines()]
    return "\n".join(map(one_line, lines))
