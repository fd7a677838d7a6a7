"""`groundswift eval check-judge`: how often judges are right on answers of which that is known, and such answers as training rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from groundswift.atomic_write import write_whole
from groundswift.errors import GroundswiftError
from groundswift.records import tags_in

from .answers.cli_options import FILE, ON_ERROR, check_there
from .answers.text_rows import Columns, in_order, read_questions
from .artifacts import pretty_json
from .count_ids import tally_lines
from .judge.asking import Asked, VerdictCache, ask_all
from .judge.client import Judge, Verdict
from .judge.known_answers import KINDS, KnownAnswer, is_held_out, is_longer, known_answers, reason_of
from .judge.options import JUDGE_OPTIONS, LISTED, filled, judge_terms, judges_of, prompt_of
from .judge.votes import kappa

HELP = {
    "write": "Write the answers as rows for swift, to train a judge on: the prompt, and yes or no. No judge is asked.",
    "reason": "In the rows of --write: what the true answer and the given one say, in short, before the verdict. A small model learns "
    "to compare in far fewer steps.",
    "each": "Right and wrong answers to each question, at most.",
    "longest": "Skip questions whose true answer has more characters; as wrong answers to others these are cut there.  [default: no limit]",
    "held_out": "Share of the answers, by a hash of the prompt, that --write drops; judges are asked about these alone.  [default: none "
    "is dropped, and judges are asked about all]",
}


class Asking(NamedTuple):
    """An answer that is known, and the prompt that asks a judge about it."""

    known: KnownAnswer
    prompt: str


def with_options(command: Any) -> Any:
    """The command with the options of judges."""
    for option in reversed(JUDGE_OPTIONS):
        command = option(command)
    return command


@click.command("check-judge")
@click.argument("rows", type=FILE)
@click.option("--write", "written", type=FILE, metavar="FILE", help=HELP["write"])
@click.option("--reason", is_flag=True, help=HELP["reason"])
@click.option("--each", type=click.IntRange(1, 100), default=2, show_default=True, help=HELP["each"])
@click.option("--longest", type=click.IntRange(1), metavar="N", help=HELP["longest"])
@click.option("--held-out", type=click.FloatRange(0, 1), default=0.0, metavar="SHARE", help=HELP["held_out"])
@click.option("--seed", type=int, default=0, show_default=True, help="Which answers are taken.")
@click.option("--column", help="Column of the true answers.  [default: as of question-answering]")
@click.option("--out", type=FILE, metavar="FILE", help="File for what --json prints.")
@with_options
@click.option("--on-error", type=ON_ERROR, default="stop", show_default=True, help="Stop at bad input, or drop and count it.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON, and nothing else.")
def check_judge(rows: Path, written: Path | None, reason: bool, out: Path | None, as_json: bool, **options: Any) -> None:
    """Check judges on answers that are known to be right or wrong, made of the true answers in ROWS; or write these to train one.

    Right: the true answer, and in other forms (case, period, quotes, what the option of a letter says). Wrong: another option, or the true
    answer of another question that neither has the true one in it nor is in it, and in other forms. Of each question as many right as
    wrong ones are made: a judge that guesses, or always says yes, is right on half of them.

    \b
    Example:
      groundswift eval check-judge val.jsonl --judge-url http://127.0.0.1:8000/v1 --judge-model qwen3
      groundswift eval check-judge train.jsonl --held-out 0.2 --write judging.jsonl
      groundswift eval check-judge train.jsonl --held-out 0.2 --judge-url http://127.0.0.1:8000/v1 --judge-model mine --out checked.json
    """
    judges = judges_of(options)
    if bool(judges) == bool(written):
        raise click.UsageError("expected either --judge-url and --judge-model, or --write")
    check_there(rows, "rows with true answers")
    every, lines = every_asking(rows, options)
    share = options["held_out"]
    kept = [each for each in every if not share or is_held_out(each.prompt, share) == bool(judges)]
    if not kept:
        raise GroundswiftError(
            f"{rows}: {len(every)} answers, none of them for this; expected another --held-out than {share:g}, or more rows"
        )
    if written:
        write_whole(written, rows_of(kept, reason))
        right = sum(each.known.is_right for each in kept)
        lines.append(f"wrote {len(kept)} of {len(every)} answers, {right} of them right, to {written}")
    else:
        document = checked(judges, kept, rows, options)
        lines += lines_of(document)
        if out:
            write_whole(out, [pretty_json(document)])
        if as_json:
            click.echo(pretty_json(document), nl=False)
    for line in lines:
        click.echo(line, err=as_json)


def every_asking(rows: Path, options: dict[str, Any]) -> tuple[list[Asking], list[str]]:
    """Every known answer with its prompt, each prompt once, and what was dropped, in words. Questions that ask for boxes are dropped.

    Prompts that are right of one question and wrong of another, as they can be where the prompt lacks {question}, are dropped.
    """
    questions = read_questions(rows, Columns(options["column"]), on_error=options["on_error"])
    of_text = [each for _, each in in_order(questions) if not any(tags_in(text) for text in each.references)]
    unique = {(each.asked, *each.references): each for each in of_text}.values()
    prompt = prompt_of(options)
    made = known_answers(unique, *(options[name] for name in ("seed", "each", "longest")))
    every = [Asking(known, filled(prompt, known.sample)) for known in made]
    truths: dict[str, set[bool]] = {}
    for each in every:
        truths.setdefault(each.prompt, set()).add(each.known.is_right)
    unclear = {prompt for prompt, found in truths.items() if len(found) > 1}
    once = {each.prompt: each for each in every if each.prompt not in unclear}
    dropped = len(questions.found) - len(of_text)
    lines = [*tally_lines("rows skipped", questions.dropped), *([f"questions that ask for boxes, skipped: {dropped}"] if dropped else [])]
    longer = sum(is_longer(each, options["longest"]) for each in unique)
    lines += [f"questions with a longer true answer, skipped: {longer}"] if longer else []
    lines += [f"prompts skipped, right of one question and wrong of another: {len(unclear)}"] if unclear else []
    return list(once.values()), lines


def rows_of(kept: Sequence[Asking], reason: bool) -> Iterator[bytes]:
    """Rows for swift: the prompt, and yes or no, with the reason before it where that is asked for."""
    for number, (known, prompt) in enumerate(kept):
        said = (reason_of(known) if reason else "") + word(known.is_right)
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": said}]
        yield msgspec.json.encode({"messages": turns, "sample_id": number, "kind": known.kind}) + b"\n"


def checked(judges: Sequence[Judge], kept: Sequence[Asking], rows: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Ask the judges, and what they got right."""
    cache = VerdictCache(options["judge_cache"] or rows.with_name(f"{rows.name}.judge.jsonl"))
    found = ask_all(judges, [each.prompt for each in kept], cache, options["judge_workers"])
    terms = {"rows": rows.name, **{name: options[name] for name in ("seed", "each", "longest", "held_out")}}
    return {
        "judges": {asked.model: numbers_of(asked, kept) for asked in found},
        "answers": len(kept),
        "right": sum(each.known.is_right for each in kept),
        "protocol": {**terms, **judge_terms(judges, options)},
    }


def numbers_of(asked: Asked, kept: Sequence[Asking]) -> dict[str, Any]:
    """How often one judge is right, of the answers on which it has a verdict; None where it has none."""
    pairs = [(each.known, verdict) for each, verdict in zip(kept, asked.verdicts, strict=True)]
    sides = {side: [pair for pair in pairs if pair[0].is_right is side] for side in (True, False)}
    wrong = {side: None if (share := right_share(found)) is None else 1 - share for side, found in sides.items()}
    return {
        "accuracy": right_share(pairs),
        "kappa": kappa([(known.is_right, verdict.vote) for known, verdict in pairs]),
        "false_no": wrong[True],
        "false_yes": wrong[False],
        "no_verdict": dict(asked.problems()),
        "kinds": {kind: right_share([pair for pair in pairs if pair[0].kind == kind]) for kind in KINDS},
        "mistakes": [mistake(*pair) for pair in pairs if pair[1].vote is (not pair[0].is_right)][:LISTED],
    }


def right_share(pairs: Sequence[tuple[KnownAnswer, Verdict]]) -> float | None:
    """The share of verdicts that are right; None without any."""
    found = [known.is_right == verdict.vote for known, verdict in pairs if verdict.vote is not None]
    return sum(found) / len(found) if found else None


def mistake(known: KnownAnswer, verdict: Verdict) -> dict[str, Any]:
    """A wrong verdict, with what the judge was asked about."""
    question, answer, *_ = known.sample
    texts = {"question": question.text, "true_answers": question.references, "answer": answer}
    return {**texts, "kind": known.kind, "is": word(known.is_right), "judge": verdict.text}


def word(is_right: bool) -> str:
    """What a judge is to reply."""
    return "yes" if is_right else "no"


def lines_of(document: dict[str, Any]) -> list[str]:
    """The numbers for the terminal."""
    lines = [f"{document['answers']} answers, {document['right']} of them right"]
    for model, numbers in document["judges"].items():
        shown = {name: "-" if numbers[name] is None else f"{numbers[name]:.3f}" for name in ("accuracy", "kappa", "false_no", "false_yes")}
        lost = sum(numbers["no_verdict"].values())
        lines.append(
            f"judge {model}: right on {shown['accuracy']}, kappa {shown['kappa']}; said no to {shown['false_no']} of right answers, "
            f"yes to {shown['false_yes']} of wrong ones; without a verdict: {lost}"
        )
        lines += [f"  {'-' if share is None else f'{share:.3f}'} of {kind}: {KINDS[kind]}" for kind, share in numbers["kinds"].items()]
        lines += [f"  {count} without a verdict [{id}]" for id, count in numbers["no_verdict"].items()]
    return lines
