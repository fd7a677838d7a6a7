"""Published figures to hold a run against: few, each with its source. Values are between 0 and 1."""

from __future__ import annotations

from typing import NamedTuple

from groundswift.errors import error_at

from .base import Numbers

REX_OMNI = "https://arxiv.org/abs/2510.12798"
QWEN3_VL = "https://arxiv.org/abs/2511.21631"
UNKNOWN = "not stated"
CAVEATS = {
    REX_OMNI: "their program for COCO and LVIS (fastevaluate) takes precision and recall of each class, of classes that the image has, and "
    "skips zeros in the means; the nearest number here is by the rule of their other sets",
    QWEN3_VL: "ODinW-13: scores of 1.0, all classes of a set in one prompt; which code and space: not stated",
}


class Published(NamedTuple):
    """One figure. `number` is the key of the nearest number of the protocol card, whose rule is not quite the same; "" where none is."""

    id: str
    model: str
    mode: str
    benchmark: str
    metric: str
    value: float
    number: str
    source: str

    @property
    def caveat(self) -> str:
        """Why the figure and the number may differ by more than the models do."""
        return CAVEATS.get(self.source, CAVEATS[QWEN3_VL])


def _rex(name: str, model: str, benchmark: str, mode: str, *values: float) -> list[Published]:
    """F1 at 0.5, at 0.95 and over the thresholds; those that are given."""
    keys = (("f1-50", "F1 at 0.5", "F1_50"), ("f1-95", "F1 at 0.95", "F1_95"), ("f1", "F1 0.50:0.95", "F1"))
    chosen = keys if len(values) == len(keys) else keys[::2]
    return [
        Published(f"{name}-{short}", model, mode, benchmark, metric, value, f"rex-omni.placed.{key}", REX_OMNI)
        for (short, metric, key), value in zip(chosen, values, strict=True)
    ]


def _odinw(name: str, model: str, mode: str, value: float) -> Published:
    return Published(name, model, mode, "ODinW-13", "mAP, mean of 13 sets", value, "coco.AP", QWEN3_VL)


def _refcoco(name: str, model: str, mode: str, value: float) -> Published:
    return Published(name, model, mode, "RefCOCO/+/g", "accuracy at 0.5, mean of splits", value, "", QWEN3_VL)


FIGURES = (
    *_rex("rex-omni-coco", "Rex-Omni", "COCO val2017", "zero-shot", 0.720, 0.159, 0.529),
    *_rex("rex-omni-sft-coco", "Rex-Omni-SFT", "COCO val2017", "zero-shot", 0.682, 0.158, 0.504),
    *_rex("seed1.5-vl-coco", "SEED1.5-VL", "COCO val2017", "zero-shot", 0.713, 0.143, 0.514),
    *_rex("qwen2.5-vl-3b-coco", "Qwen2.5-VL-3B", "COCO val2017", UNKNOWN, 0.647, 0.150, 0.476),
    *_rex("qwen2.5-vl-7b-coco", "Qwen2.5-VL-7B", "COCO val2017", UNKNOWN, 0.640, 0.126, 0.457),
    *_rex("rex-omni-lvis", "Rex-Omni", "LVIS", "zero-shot", 0.643, 0.469),
    _odinw("qwen3-vl-235b-odinw13", "Qwen3-VL-235B-A22B", "Instruct", 0.486),
    _odinw("qwen3-vl-235b-thinking-odinw13", "Qwen3-VL-235B-A22B", "Thinking", 0.432),
    _odinw("qwen3-vl-8b-odinw13", "Qwen3-VL-8B", "Instruct", 0.447),
    _odinw("qwen3-vl-2b-odinw13", "Qwen3-VL-2B", "Instruct", 0.434),
    _refcoco("qwen3-vl-235b-refcoco", "Qwen3-VL-235B-A22B", "Instruct", 0.919),
    _refcoco("qwen3-vl-235b-thinking-refcoco", "Qwen3-VL-235B-A22B", "Thinking", 0.921),
    _refcoco("qwen3-vl-8b-refcoco", "Qwen3-VL-8B", "Instruct", 0.891),
    _refcoco("qwen3-vl-2b-refcoco", "Qwen3-VL-2B", "Instruct", 0.856),
)
BY_ID = {figure.id: figure for figure in FIGURES}


def figure_of(name: str) -> Published:
    """A figure that a card can be held against. Raises GroundswiftError for another id."""
    figure = BY_ID.get(name)
    if figure is None or not figure.number:
        problem = (
            "unknown id" if figure is None else f"{figure.benchmark} has one box a question, which `groundswift eval referring` scores"
        )
        raise error_at(f"--against {name}", problem, f"one of {', '.join(each.id for each in FIGURES if each.number)}")
    return figure


def against_lines(names: tuple[str, ...], numbers: Numbers) -> list[str]:
    """A run next to published figures, for the terminal."""
    lines = []
    for figure in map(figure_of, names):
        value = numbers.get(figure.number)
        run = "this run -" if value is None else f"this run {value:.3f} ({value - figure.value:+.3f})"
        lines.append(f"{figure.model}, {figure.mode}, {figure.benchmark}, {figure.metric}: {figure.value:.3f}; {run} by {figure.number}")
        lines += [f"  {figure.source}", f"  {figure.caveat}"]
    return lines
