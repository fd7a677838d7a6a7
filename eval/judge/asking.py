"""Many questions to several judges: in parallel, each asked once, its verdict kept on disk."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from groundswift.errors import GroundswiftError
from groundswift.kept_lines import KeptLines

from .client import FAILED, Judge, Verdict

MOST_FAILURES = 10  # of one judge in a row, then it is not asked any more
NOT_ASKED = "judge-not-asked"


class Kept(msgspec.Struct):
    """One line of the cache: the hash of model, request and prompt, the vote, the text that it was read from."""

    key: str
    model: str
    vote: bool
    text: str = ""


class VerdictCache:
    """Verdicts on disk, by hash of (model, fields of the request, prompt): one JSON line each, appended as they come.

    Only votes are kept. Lines that cannot be read are ignored: a killed run leaves half a line. Raises GroundswiftError where the file
    cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._lines = KeptLines(path, Kept, "a file for verdicts (--judge-cache)")
        self._known = {row.key: Verdict(row.vote, row.text) for row in self._lines.rows}

    def key(self, judge: Judge, prompt: str) -> str:
        """The hash of what was asked."""
        return hashlib.sha256(msgspec.json.encode([judge.model, judge.fields, prompt])).hexdigest()

    def get(self, key: str) -> Verdict | None:
        """The kept verdict, or None."""
        return self._known.get(key)

    def put(self, key: str, model: str, verdict: Verdict) -> None:
        """Keep a vote."""
        if verdict.vote is None:
            return
        self._known[key] = verdict
        self._lines.add(Kept(key, model, verdict.vote, verdict.text))


class Asked(msgspec.Struct):
    """The verdicts of one judge, one for each prompt; `kept`: how many came from the cache."""

    model: str
    verdicts: list[Verdict]
    kept: int

    def problems(self) -> Counter[str]:
        """How many prompts have no vote, by id."""
        return Counter(verdict.problem for verdict in self.verdicts if verdict.vote is None)

    def missing(self) -> str:
        """How many prompts have no vote, in words; empty where all have one."""
        problems = ", ".join(f"{count} {problem}" for problem, count in self.problems().most_common())
        lost = self.problems().total()
        return f"judge {self.model}: no verdict on {lost} of {len(self.verdicts)} answers ({problems})" if lost else ""


def ask_all(judges: Sequence[Judge], prompts: Sequence[str], cache: VerdictCache, workers: int = 8) -> list[Asked]:
    """Ask each judge every prompt. A judge that fails MOST_FAILURES times in a row is not asked further.

    Raises GroundswiftError where a server refuses its settings, and where no judge gave a vote.
    """
    found = [ask_one(judge, prompts, cache, workers) for judge in judges]
    if prompts and not any(verdict.vote is not None for asked in found for verdict in asked.verdicts):
        said = next((verdict.text for asked in found for verdict in asked.verdicts if verdict.text), "")
        lost = "; ".join(asked.missing() for asked in found) + (f"; it said {said[:200]!r}" if said else "")
        raise GroundswiftError(f"{lost}; nothing was written. Check --judge-url and --judge-model, or raise --judge-timeout.")
    return found


def ask_one(judge: Judge, prompts: Sequence[str], cache: VerdictCache, workers: int) -> Asked:
    """The verdicts of one judge; equal prompts are asked once."""
    from tqdm import tqdm

    keys = {prompt: cache.key(judge, prompt) for prompt in prompts}
    verdicts = {prompt: verdict for prompt, key in keys.items() if (verdict := cache.get(key)) is not None}
    kept, failures = sum(prompt in verdicts for prompt in prompts), 0
    missing = [prompt for prompt in keys if prompt not in verdicts]

    def ask(prompt: str) -> tuple[str, Verdict]:
        nonlocal failures
        if failures >= MOST_FAILURES:
            return prompt, Verdict(None, problem=NOT_ASKED)
        verdict = judge.ask(prompt)
        failures = failures + 1 if verdict.problem in FAILED else 0
        cache.put(keys[prompt], judge.model, verdict)
        return prompt, verdict

    with ThreadPoolExecutor(workers) as pool:
        futures: list[Any] = [pool.submit(ask, prompt) for prompt in missing]
        try:
            for future in tqdm(futures, desc=f"judge {judge.model}", unit="answer", delay=1, disable=None):
                verdicts.update([future.result()])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Asked(judge.model, [verdicts[prompt] for prompt in prompts], kept)
