"""`--dataset NAME#500` for the sets of the YAML list that GROUNDSWIFT_DATASETS names, read by the converters' own code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from datasets import Dataset, IterableDataset
from swift.dataset import DatasetMeta
from swift.dataset.loader import DatasetLoader
from swift.dataset.preprocessor import RowPreprocessor
from swift.utils import get_logger

from groundswift.data_converters.base import Options
from groundswift.data_converters.engine.convert import rows_of, run_of
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.named_datasets import ENVIRONMENT, read_sets
from groundswift.errors import error_at
from groundswift.records import Row

from .arrow_table import columns_of, streamed, written_once


class RowLoader(DatasetLoader):
    """Loads one set of ours; sampling (`#N`) and splitting are swift's. `name` and `source` are bound by `registered`."""

    name: str
    source: Any

    def rows(self, syntax: Any, use_hf: bool) -> tuple[Callable[[], Iterable[dict[str, Any]]], object]:
        """(what makes the rows as swift's columns, and can be pickled; what the rows depend on)."""
        raise NotImplementedError

    def load(
        self, dataset_syntax: Any = None, dataset_meta: DatasetMeta | None = None, *, use_hf: bool | None = None
    ) -> Dataset | IterableDataset:
        """The rows as swift's own loaders leave them: columns renamed as asked, and those that swift does not know dropped."""
        rows, key = self.rows(dataset_syntax, bool(use_hf))
        table = streamed(rows) if self.streaming else written_once(self.name, key, rows)
        if self.columns:
            table = RowPreprocessor.safe_rename_columns(table, self.columns)
        return RowPreprocessor.remove_useless_columns(table) if self.remove_unused_columns else table

    @classmethod
    def registered(cls, name: str, source: Any, tags: Sequence[str] = ()) -> DatasetMeta:
        """What swift registers for a set."""
        return DatasetMeta(dataset_name=name, loader=type(f"{name}_loader", (cls,), {"name": name, "source": source}), tags=list(tags))


class SetLoader(RowLoader):
    """Reads one named set, by its options."""

    source: Options

    def rows(self, syntax: Any, use_hf: bool) -> tuple[Callable[[], Iterable[dict[str, Any]]], object]:
        return partial(set_rows, self.name, self.source, not self.streaming), run_of(self.source)


def set_rows(name: str, spec: Options, progress: bool) -> Iterator[dict[str, Any]]:
    """The rows of a set as swift's columns; what was skipped is logged at the end. Raises as `rows_of` does."""
    log = IssueLog(spec.on_error)
    for row in rows_of(spec, log, progress):
        if not isinstance(row, Row):
            raise error_at(name, f"{type(spec).__name__} makes no rows for swift", "a format that does")
        yield columns_of(row)
    log_skipped(name, log)


def log_skipped(name: str, log: IssueLog) -> None:
    """Log what was skipped or changed, one line per reason."""
    for line in log.lines():
        get_logger().info(f"{name}: {line.strip()}")


def named_sets() -> list[DatasetMeta]:
    """A registration for each set of the list; none where the variable is not set."""
    path = os.environ.get(ENVIRONMENT)
    return [SetLoader.registered(name, spec) for name, spec in read_sets(path).items()] if path else []
