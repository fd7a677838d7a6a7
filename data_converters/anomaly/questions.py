"""The questions of the three stages, from questions.yaml or a file of the same form: picked by seed, in one language or both."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec

from groundswift.errors import GroundswiftError, error_at
from groundswift.storage import read_text

from ..file_io.yaml_files import read_yaml
from ..prompts import Language, check_text, filled, hashed

Pair = tuple[str, str]
Kinds = dict[str, dict[str, list[Pair]]]  # kind -> language -> pairs
STAGES = {"crop": 1, "draw": 2, "locate": 3, "describe": 3}
FIELDS = {
    "crop": ("label", "other", "first", "second", "letter"),
    "draw": ("label", "mark", "count", "first", "second", "letter"),
    "locate": ("anomalies", "boxes", "first", "second", "letter"),
    "described": ("description", "verdict", "reason"),
}
REQUEST_FIELDS = {  # of the prompts for a model, by the command that fills them
    "crop": ("label", "labels", "count", "pairs"),
    "draw": ("labels", "marks", "count", "pairs"),
    "describe": ("labels", "count", "boxes", "anomalies", "size"),
}
AB_KINDS = {"choice", "count_choice", "anomaly_choice", "verdict"}  # whose answers are A or B alone
FORM = "a file of the form of data_converters/anomaly/questions.yaml"


class Question(NamedTuple):
    """A question and its answer; `name` says which one it is, such as `crop.what.en.2`."""

    name: str
    text: str
    answer: str


class QuestionFile(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a file; a section that it lacks is None."""

    crop: Kinds | None = None
    draw: Kinds | None = None
    locate: Kinds | None = None
    described: Kinds | None = None
    reference: dict[str, str] | None = None
    mark: dict[str, str] | None = None
    words: dict[str, Pair] | None = None
    colours: dict[str, list[str]] | None = None
    requests: dict[str, dict[str, str]] | None = None


@cache
def built_in() -> QuestionFile:
    """The content of questions.yaml."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (files(__package__) / "questions.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.load(text, loader), QuestionFile)


class Questions(msgspec.Struct, frozen=True):
    """What is asked, in `languages`; `seed` picks among several. `own`: (name, text) of one's own prompts for a model."""

    content: QuestionFile
    languages: tuple[str, ...]
    seed: int
    own: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, path: str | None, language: Language, seed: int, prompt_files: Sequence[str] = (), stage: str = "") -> Questions:
        """The built-in questions, with the sections of a file in their place; `prompt_files`: prompts of one's own for a stage.

        Raises GroundswiftError where a file cannot be used.
        """
        languages = ("en", "zh") if language == "both" else (language,)
        own = own_questions(path) if path else QuestionFile()
        both = {name: theirs if (theirs := getattr(own, name)) is not None else getattr(built_in(), name) for name in own.__struct_fields__}
        content = QuestionFile(**both)
        if path:
            check(path, content, languages)
        return cls(content, languages, seed, tuple(own_prompts(prompt_files, stage)))

    def language(self, key: object) -> str:
        """The language of one question."""
        return self.languages[hashed(self.seed, f"language {key}") % len(self.languages)]

    def ask(self, stage: str, kind: str, key: object, values: dict[str, str]) -> Question | None:
        """One question of a kind with its fields filled; None where the file has none of that kind."""
        language = self.language(key)
        pairs = getattr(self.content, stage).get(kind, {}).get(language, [])
        if not pairs:
            return None
        number = hashed(self.seed, f"{kind} {key}") % len(pairs)
        text, answer = (filled(part, values) for part in pairs[number])
        return Question(f"{stage}.{kind}.{language}.{number + 1}", text, answer)

    def choose(self, stage: str, kind: str, key: object, values: dict[str, str], right: str, wrong: str) -> Question | None:
        """The same for a choice of two: `right` is A or B by the seed."""
        letter = "AB"[hashed(self.seed, f"letter {kind} {key}") % 2]
        first, second = (right, wrong) if letter == "A" else (wrong, right)
        return self.ask(stage, kind, key, values | {"first": first, "second": second, "letter": letter})

    def pick(self, key: object, count: int) -> int:
        """A number below `count`."""
        return hashed(self.seed, f"pick {key}") % count

    def words(self, key: object, is_anomaly: bool) -> tuple[str, str]:
        """The right and the wrong word of a choice about an anomaly."""
        yes, no = self.content.words[self.language(key)]
        return (yes, no) if is_anomaly else (no, yes)

    def mark(self, key: object, rank: int) -> str:
        """What the boxes of a class are called."""
        language = self.language(key)
        colours = self.content.colours[language]
        return filled(self.content.mark[language], {"colour": colours[rank % len(colours)]})

    def requests(self, stage: str, id: str, values: dict[str, str]) -> Iterator[tuple[str, str]]:
        """(id, prompt) of each prompt: of the file, or one's own in its place."""
        if not self.own:
            yield id, filled(self.content.requests[stage][self.language(id)], values).strip()
        for name, text in self.own:
            yield f"{id}/{name}", filled(text, values).strip()


def own_questions(path: str) -> QuestionFile:
    """A user's file. Raises GroundswiftError where it is not of the form."""
    try:
        return msgspec.convert(read_yaml(path, FORM), QuestionFile)
    except msgspec.ValidationError as error:
        raise error_at(path, str(error), FORM) from None


def check(path: str, content: QuestionFile, languages: tuple[str, ...]) -> None:
    """Raise GroundswiftError where a text is blank, has an unknown field or one of swift's tags, and where a language lacks a section."""
    for where, text, fields in texts_of(content):
        try:
            check_text(text, fields)
        except GroundswiftError as error:
            raise error_at(f"{path}: {where}", str(error)) from None
    for section in ("reference", "mark", "words", "colours"):
        if lacking := [each for each in languages if each not in getattr(content, section)]:
            raise error_at(f"{path}: {section}", f"has no {lacking[0]}", "the languages of --language")


def own_prompts(paths: Sequence[str], stage: str) -> list[tuple[str, str]]:
    """(name, text) of files with one prompt each. Raises GroundswiftError where one cannot be used, and for two of one name."""
    if paths and stage not in REQUEST_FIELDS:
        raise GroundswiftError(f"--prompt-file: {stage} sends no prompt; expected {', '.join(REQUEST_FIELDS)}")
    prompts: dict[str, str] = {}
    for path in paths:
        name = os.path.splitext(os.path.basename(path))[0]
        if name in prompts:
            raise error_at(path, f"a second prompt of the name {name}", "a different file name for each prompt")
        prompts[name] = read_text(path, "a prompt")
        try:
            check_text(prompts[name], REQUEST_FIELDS[stage])
        except GroundswiftError as error:
            raise error_at(path, str(error)) from None
    return list(prompts.items())


def texts_of(content: QuestionFile) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(place, text, its fields) of every question, answer and prompt."""
    for stage in ("crop", "draw", "locate", "described"):
        for kind, by_language in getattr(content, stage).items():
            for language, pairs in by_language.items():
                for pair in pairs:
                    yield from ((f"{stage}.{kind}.{language}", text, FIELDS[stage]) for text in pair)
    for stage, by_language in content.requests.items():
        fields = REQUEST_FIELDS.get(stage.removesuffix("_ab"), ())
        yield from ((f"requests.{stage}.{language}", text, fields) for language, text in by_language.items())


def other_class(names: list[str], used: set[int], seed: int, key: object) -> str | None:
    """A class that is not among the used ranks, picked by the seed; None where all are."""
    others: list[Any] = [name for rank, name in enumerate(names) if rank not in used]
    return others[hashed(seed, f"other {key}") % len(others)] if others else None
