"""Answers of each way to the same questions, one way after the other, as result files in the output folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from groundswift.terminal import counted, echo

from .answering import Answering, Options, write_answers
from .questions import Question, blanked
from .ways import Way

ANSWERS, IMAGES, GRAPHS = "answers", "images", "graphs"


def opened(way: Way, options: Options, out: Path) -> Answering:
    """A way, ready to answer; exported graphs are written below `out`.

    Raises GroundswiftError where its model cannot be loaded, or its server does not answer.
    """
    if way.engine == "server":
        from .served_way import ServedWay

        return ServedWay(way, options)
    if way.engine == "transformers":
        from .plain_way import PlainWay

        return PlainWay(way, options)
    if way.engine != "swift":
        from .exported_way import ExportedWay

        return ExportedWay(way, options, out / GRAPHS / way.name)
    from .swift_way import SwiftWay

    return SwiftWay(way, options)


def run_ways(
    ways: Sequence[Way], questions: Sequence[Question], options: Options, out: Path, blind: Sequence[str] = ()
) -> tuple[dict[str, Path], dict[str, Path]]:
    """(result file of each way, result file of each way that `blind` names to blanked images). Raises GroundswiftError."""
    results, of_blanked = {}, {}
    for way in ways:
        started = time.perf_counter()
        ready = opened(way, options, out)
        try:
            results[way.name] = out / ANSWERS / f"{way.name}.jsonl"
            write_answers(results[way.name], ready, questions)
            if way.name in blind:
                of_blanked[way.name] = out / ANSWERS / f"{way.name}.blind.jsonl"
                write_answers(of_blanked[way.name], ready, blanked(questions, out / IMAGES / "blank"))
        finally:
            ready.close()
        echo(f"{way.name}: {counted(len(questions), 'answer')} in {time.perf_counter() - started:.1f} s", err=True)
    return results, of_blanked
