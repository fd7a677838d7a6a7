"""Our benchmarks as evalscope's adapters: questions by the converters, numbers by the evaluator over all answers of a subset.

Imported only where evalscope runs: `swift eval` and a training with `--eval_use_evalscope true`. Observed with evalscope 1.10.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evalscope.api.benchmark import BenchmarkMeta, VisionLanguageAdapter
from evalscope.api.dataset import DatasetDict, MemoryDataset, Sample
from evalscope.api.messages import ChatMessageUser, ContentImage, ContentText
from evalscope.api.metric import AggScore, SampleScore, Score
from evalscope.api.registry import BENCHMARK_REGISTRY, register_benchmark
from evalscope.constants import Tags

from groundswift.errors import GroundswiftError, error_at
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.to_boxes import predictions_from_answers
from groundswift.eval.ground_truth import Truth, read_truth, truth_of_images
from groundswift.eval.metrics import METRICS
from groundswift.eval.metrics.coco_map import evaluate
from groundswift.family import family_row
from groundswift.image_resize import Limits

from ..datasets.named import set_rows
from ..metrics.scoring import is_resized
from ..metrics.validation_rows import samples_of
from .local_copies import BENCHMARKS, COCO_METRIC, LocalBenchmark, Source

PLACE, SUBSET = "row", "subset"  # in a sample's metadata
Numbers = dict[str, float | None]
IMAGE = "<image>"
EXTRA: dict[str, dict[str, Any]] = {
    "family": {"type": "str", "description": "Model family; by default that of --template.", "value": ""},
    "min_pixels": {"type": "int", "description": "MIN_PIXELS of the model's process, where it is not this one's.", "value": 0},
    "max_pixels": {"type": "int", "description": "MAX_PIXELS of the model's process, where it is not this one's.", "value": 0},
}
_rules: list[Rules] = []  # how the answers of this process are read, by the template of the command or training


def note_rules(rules: Rules | None) -> None:
    """Read the answers of later benchmarks by these rules."""
    _rules[:] = [rules] if rules else []


class LocalAdapter(VisionLanguageAdapter):
    """One of our benchmarks; `benchmark` is set by `register_benchmarks`."""

    benchmark: LocalBenchmark

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_aggregation_name = False
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.sources: dict[str, Source] = {}

    def load_dataset(self) -> DatasetDict:
        """The questions of each subset, the first `--eval_limit` of them. Raises GroundswiftError where the local copy lacks a file."""
        folder, name = Path(self.dataset_id), self.benchmark.name
        if not folder.is_dir():
            where = f'--eval_dataset_args \'{{"{name}": {{"local_path": "FOLDER"}}}}\''
            raise error_at(name, f"no local copy at {str(folder)!r}", f"{where} with {self.benchmark.files}")
        self.rules()
        if unknown := [subset for subset in self.subset_list if subset not in self.benchmark.subsets]:
            raise error_at(name, f"unknown subset {unknown[0]!r}", ", ".join(self.benchmark.subsets))
        for subset in self.subset_list:
            self.sources[subset] = self.benchmark.source(folder, subset)
            rows = list(set_rows(f"{name}/{subset}", self.sources[subset].options, progress=False))
            self.rows[subset] = rows[: self.counted(len(rows))]
        datasets = {subset: MemoryDataset(samples_of_rows(rows, subset), subset) for subset, rows in self.rows.items()}
        self.test_dataset = DatasetDict(datasets)
        return self.test_dataset

    def counted(self, rows: int) -> int:
        """How many rows are asked: evalscope's limit is a number, or a share."""
        limit = self.limit
        return rows if limit is None else int(rows * limit) if isinstance(limit, float) else limit

    def match_score(self, original_prediction: str, filtered_prediction: str, reference: str, task_state: Any) -> Score:
        """The answer of one question; its numbers are those of all, in `aggregate_scores`."""
        return Score(prediction=original_prediction, extracted_prediction=filtered_prediction, value={"answered": 1})

    def aggregate_scores(self, sample_scores: list[SampleScore]) -> list[AggScore]:
        """The numbers of one subset. A question without an answer counts as missing."""
        if not sample_scores:
            return []
        subset = sample_scores[0].sample_metadata[SUBSET]
        texts: list[str | None] = [None] * len(self.rows[subset])
        for each in sample_scores:
            texts[each.sample_metadata[PLACE]] = each.score.prediction
        numbers = self.coco_numbers(subset, texts) if self.benchmark.metric == COCO_METRIC else self.row_numbers(subset, texts)
        count = 1 if self.benchmark.macro else len(texts)
        return [AggScore(score=value, metric_name=name, num=count) for name, value in numbers.items() if value is not None]

    def coco_numbers(self, subset: str, texts: Sequence[str | None]) -> Numbers:
        """COCO's numbers, by those of LVIS where the ground truth is federated, of the images that were asked."""
        rows, truth = self.rows[subset], self.truth(subset)
        pairs = zip(rows, texts, strict=True)
        given = [(row["sample_id"], tuple(row["size_wh"]), text) for row, text in pairs if text is not None]
        return evaluate(truth, predictions_from_answers(given, truth, self.rules()).predictions).summary

    def truth(self, subset: str) -> Truth:
        """The ground truth; with a limit, that of the images that were asked."""
        truth = read_truth(self.sources[subset].truth)
        return truth if self.limit is None else truth_of_images(truth, {row["sample_id"] for row in self.rows[subset]})

    def row_numbers(self, subset: str, texts: Sequence[str | None]) -> Numbers:
        """The numbers of a metric whose truth is in the rows."""
        rules = self.rules()
        return METRICS[self.benchmark.metric]().score_rows(texts, samples_of(self.rows[subset], is_resized(rules)), rules).summary

    def rules(self) -> Rules:
        """How answers are read: by `extra_params`, else as the template of the command. Raises GroundswiftError where neither says it."""
        given = self.extra_params
        if given["family"]:
            limits = Limits(given["min_pixels"] or None, given["max_pixels"] or None)
            return Rules(given["family"], limits=limits if family_row(given["family"]).resize_factor else None)
        if not _rules:
            what = "which family writes the answers is not known"
            raise GroundswiftError(f"{self.benchmark.name}: {what}; expected --template NAME_grounding, or extra_params with family")
        return _rules[-1]


def samples_of_rows(rows: Sequence[dict[str, Any]], subset: str) -> list[Sample]:
    """Rows of swift as evalscope's samples: the image as a path, the question without its placeholder."""
    samples = []
    for place, row in enumerate(rows):
        question = row["messages"][0]["content"].replace(IMAGE, "").strip()
        content = [ContentImage(image=row["images"][0]["path"]), ContentText(text=question)]
        asked = [ChatMessageUser(content=content)]
        known = {PLACE: place, SUBSET: subset}
        samples.append(Sample(input=asked, target=row["messages"][-1]["content"], id=place, group_id=place, metadata=known))
    return samples


def register_benchmarks() -> None:
    """Make our benchmarks known to evalscope, once."""
    for name, benchmark in BENCHMARKS.items():
        if name not in BENCHMARK_REGISTRY:
            meta = BenchmarkMeta(
                name=name,
                dataset_id=name,
                pretty_name=benchmark.title,
                description=f"{benchmark.title} by groundswift's metric {benchmark.metric}, from a local copy: {benchmark.files}.",
                tags=[Tags.MULTI_MODAL, Tags.CUSTOM],
                subset_list=list(benchmark.subsets),
                metric_list=[number.key for number in METRICS[benchmark.metric].numbers],
                eval_split="test",
                extra_params={key: dict(entry) for key, entry in EXTRA.items()},
            )
            register_benchmark(meta)(type(name, (LocalAdapter,), {"benchmark": benchmark}))
