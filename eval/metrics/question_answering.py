"""Question answering: exact, substring, choice, numeric and VQA accuracy, ANLS, and the votes of judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from groundswift.atomic_write import write_whole
from groundswift.csv_files import csv_lines

from ..answers.choices import LETTERS, chosen, options_of
from ..answers.protocol import Rules
from ..answers.text_measures import ANLS_THRESHOLD, NORMALIZATIONS, anls, normalizations, normalizer
from ..answers.text_rows import Questions, TextAnswers, TextSample
from ..answers.vqa import LEAST_ANNOTATORS, contains, is_close, vqa_accuracy
from ..evaluated_run import Number, Table
from ..judge.client import Judge
from ..judge.options import JUDGE_OPTIONS, LISTED, Judged, judge_terms, judged, judges_of
from ..judge.votes import agrees, kappa, majority
from ..text_metric import TEXT_OPTIONS, Column, Scored, TextMetric

DIFFERING = "disagreements.csv"  # in the output folder
DEFAULT_NORMALIZATIONS = ("nfkc", "casefold", "whitespace", "punctuation")
CHOICES = f"Options of a choice: A,B or cat,dog, or `{LETTERS}`: those that the question lists."


def options_of_command(choices: str | None) -> tuple[Callable[..., Any], ...]:
    """The options of the command, with a default of --choices."""
    normalize = click.option(
        "--normalize",
        multiple=True,
        type=click.Choice(list(NORMALIZATIONS)),
        default=DEFAULT_NORMALIZATIONS,
        show_default=True,
        help="What does not count in exact and substring: form, case, runs of white space, punctuation at the ends; repeatable.",
    )
    tolerance = click.option(
        "--tolerance", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="Relative error of `numeric`."
    )
    return (
        *TEXT_OPTIONS,
        normalize,
        click.option("--choices", default=choices, show_default=choices is not None, help=CHOICES),
        tolerance,
        *JUDGE_OPTIONS,
    )


@dataclass(frozen=True)
class Kappa:
    """Agreement of judges beyond chance, with the methods of `text_metric.Column`; no sample and no interval has one."""

    votes: Sequence[Sequence[bool | None]]
    per_sample: bool = False

    def number(self, chosen: Sequence[int] | None = None) -> float | None:
        return kappa(self.votes if chosen is None else [self.votes[index] for index in chosen])

    def value(self, index: int) -> None:
        return None

    def interval(self, units: Sequence[Any]) -> None:
        return None


class QuestionAnswering(TextMetric):
    """Accuracy of RESULT, whose answers are a word, a choice, a number or a sentence: by rules, and by judges.

    `exact` and `substring` compare with every true answer after --normalize. `choice` needs --choices, `numeric` true answers that are
    numbers, `vqa` the answers of at least 4 annotators; a number that has nothing to score is undefined. Judges are models at a server with
    OpenAI's API; each is asked once about each answer, and its verdicts are kept in a file.

    \b
    Example:
      groundswift eval question-answering result.jsonl --out scored/
      groundswift eval question-answering result.jsonl --rows val.jsonl --choices letters --group-by task --out scored/
      groundswift eval question-answering result.jsonl --judge-url http://127.0.0.1:8000/v1 --judge-model qwen3 --out scored/
    """

    name, title = "question_answering", "Question answering"
    numbers = (
        Number("exact", "exact match", headline=True),
        Number("substring", "substring", headline=True),
        Number("choice", "choice", headline=True),
        Number("numeric", "numeric"),
        Number("vqa", "VQA accuracy"),
        Number("anls", "ANLS"),
        Number("judge", "judge", headline=True),
        Number("substring_judge", "substring and judge"),
        Number("judge_agreement", "judges agree"),
        Number("judge_kappa", "kappa of judges"),
        Number("substring_agreement", "substring agrees with judges"),
        Number("substring_kappa", "kappa of substring and judges"),
    )
    options = options_of_command(None)
    comparable_terms = {**TextMetric.comparable_terms, "choices": None, "tolerance": None, "judges": None, "judge_prompt": None}
    judges: Sequence[Judge] = ()
    verdicts: Judged | None = None
    differing: Sequence[list[str]] = ()

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        source, rules = super().source(result)
        self.judges = judges_of(self.options)
        if self.judges and self.options.get("judge_cache") is None:
            self.options["judge_cache"] = source.with_name(f"{source.name}.judge.jsonl")
        return source, rules

    def read_answers(self, source: Path, truth: Questions, rules: Rules | None) -> TextAnswers:
        answers = super().read_answers(source, truth, rules)
        if self.judges:
            self.verdicts = judged(self.judges, answers.samples, self.options)
            answers.warnings.extend(self.verdicts.warnings)
        return answers

    def terms(self) -> dict[str, Any]:
        terms = {
            "normalize": ", ".join(normalizations(self.options.get("normalize", DEFAULT_NORMALIZATIONS))),
            "substring": "a true answer is in the answer as whole words (Chinese: anywhere)",
            "choices": self.options.get("choices") or "not declared",
            "tolerance": self.options.get("tolerance", 0.05),
            "numeric": "the only number of the answer, without commas, currency and %; undefined where a true answer is not a number",
            "vqa": f"mean of annotators, {LEAST_ANNOTATORS} or more, of min(1, others with this answer / 3), normalised by VQA's rules",
            "anls": f"1 - edit distance where it is below {ANLS_THRESHOLD}, else 0; case and runs of white space do not count",
        }
        return terms | (judge_terms(self.judges, self.options) if self.judges else {})

    def score_samples(self, samples: Sequence[TextSample]) -> Scored:
        normalized = normalizer(self.options.get("normalize", DEFAULT_NORMALIZATIONS))
        texts = [(normalized(each.text), [normalized(text) for text in each.question.references]) for each in samples]
        substring = [float(any(contains(answer, text) for text in references)) for answer, references in texts]
        picked = [self.choice(sample) for sample in samples]
        close = [is_close(each.text, each.question.references, self.options.get("tolerance", 0.05)) for each in samples]
        columns = {
            "exact": Column([float(answer in references) for answer, references in texts]),
            "substring": Column(substring),
            "choice": Column([right for right, _, _ in picked]),
            "numeric": Column([None if each is None else float(each) for each in close]),
            "vqa": Column([vqa_accuracy(each.text, each.question.references) for each in samples]),
            "anls": Column([anls(each.text, each.question.references) for each in samples]),
        }
        shown: list[dict[str, Any]] = [{"chosen": letter} if letter else {} for _, letter, _ in picked]
        counts: dict[str, Any] = {}
        if self.options.get("choices"):
            counts["choice_unreadable"] = sum(right is not None and letter is None for right, letter, _ in picked)
            counts["choice_without_truth"] = sum(problem for _, _, problem in picked)
        if (found := self.verdicts) is None:
            return Scored(columns, shown, counts)
        columns |= judge_columns(found, substring)
        both = [{**each, **said} for each, said in zip(shown, found.shown, strict=True)]
        self.differing = differing_answers(samples, found, substring)
        return Scored(columns, both, counts | found.counts, (*found.tables, differing_table(self.differing, found.models)))

    def write(self, folder: Path, answers: TextAnswers, truth: Questions) -> dict[str, str]:
        """Every answer on which judges differ, or the majority and the substring, as a table for a spreadsheet."""
        if self.verdicts is None:
            return {}
        columns, rows = differing_columns(self.verdicts.models), ([str(cell) for cell in row] for row in self.differing)
        write_whole(folder / DIFFERING, csv_lines(columns, rows, bom=True))
        return {"judge_disagreements": DIFFERING}

    def choice(self, sample: TextSample) -> tuple[float | None, str | None, bool]:
        """Whether the chosen option is a true one, None where that is undefined; the option; whether the true answers name none."""
        if not (choices := self.options.get("choices")):
            return None, None, False
        options = options_of(choices, sample.question.asked)
        truths = {chosen(text, options) for text in sample.question.references} - {None}
        if not truths:
            return None, None, True
        letter = chosen(sample.text, options)
        return float(letter in truths), letter, False

    def shown_numbers(self) -> set[str]:
        return {"exact", "substring", "anls", *(["choice"] if self.options.get("choices") else []), *(["judge"] if self.judges else [])}


def judge_columns(found: Judged, substring: Sequence[float]) -> dict[str, Any]:
    """The numbers of the judges. `substring_judge` is 0 without the substring, whatever the judges say."""
    votes = [majority(each) for each in found.votes]
    both = [0.0 if not part else None if vote is None else float(vote) for part, vote in zip(substring, votes, strict=True)]
    several = [agrees(each) for each in found.votes]
    pairs = [(bool(part), vote) for part, vote in zip(substring, votes, strict=True)]
    same = [agrees(each) for each in pairs]
    return {
        "judge": Column([None if vote is None else float(vote) for vote in votes]),
        "substring_judge": Column(both),
        "judge_agreement": Column([None if each is None else float(each) for each in several], per_sample=False),
        "judge_kappa": Kappa(found.votes),
        "substring_agreement": Column([None if each is None else float(each) for each in same], per_sample=False),
        "substring_kappa": Kappa(pairs),
    }


def differing_answers(samples: Sequence[TextSample], found: Judged, substring: Sequence[float]) -> list[list[str]]:
    """Every answer on which judges differ, or their majority and the substring: id, texts, who says that it is right."""
    rows = []
    for sample, votes, part in zip(samples, found.votes, substring, strict=True):
        vote = majority(votes)
        if agrees(votes) is False or (vote is not None and vote != bool(part)):
            texts = (sample.question.text, " | ".join(sample.question.references), sample.text)
            said = ["-" if each is None else "yes" if each else "no" for each in (*votes, vote)]
            rows.append([str(sample.question.sample_id), *texts, "yes" if part else "no", *said])
    return rows


def differing_columns(models: Sequence[str]) -> list[str]:
    """The heads of a table of such answers."""
    return ["sample_id", "question", "true answers", "answer", "substring", *models, "majority"]


def differing_table(rows: Sequence[Sequence[str]], models: Sequence[str]) -> Table:
    """The same for the report, the first LISTED of them, texts shortened."""
    note = f"the first {LISTED} of {len(rows)}; {DIFFERING} has all" if len(rows) > LISTED else ""
    shown: list[list[Any]] = [[cell[:LISTED] for cell in row] for row in rows[:LISTED]]
    return Table("judge-disagreements", "Disagreements of judges and substring", differing_columns(models), shown, note=note)
