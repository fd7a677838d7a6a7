"""`--dataset NAME#500` for the sets of the YAML list that GROUNDSWIFT_DATASETS names, read by the converters' own code."""

from __future__ import annotations

import os
from typing import Any

import msgspec
from datasets import Dataset
from swift.dataset import DatasetMeta
from swift.dataset.loader import DatasetLoader
from swift.dataset.preprocessor import RowPreprocessor
from swift.utils import get_logger

from groundswift.data_converters.sets import ENVIRONMENT, SetSpec, read_sets, rows_of_set


class SetLoader(DatasetLoader):
    """Reads one named set; sampling (`#N`) and splitting are swift's. `spec` is bound by `named_sets`."""

    spec: SetSpec
    name: str

    def load(self, dataset_syntax: Any = None, dataset_meta: DatasetMeta | None = None, *, use_hf: bool | None = None) -> Dataset:
        rows, tally = rows_of_set(self.spec)
        table = Dataset.from_list([msgspec.to_builtins(row) for row in rows])
        for line in tally.lines():
            get_logger().info(f"{self.name}: {line.strip()}")
        if self.columns:
            table = RowPreprocessor.safe_rename_columns(table, self.columns)
        table = dataset_meta.preprocess_func(
            table, num_proc=self.num_proc, load_from_cache_file=self.load_from_cache_file, strict=self.strict
        )
        if self.streaming:
            table = table.to_iterable_dataset()
        return RowPreprocessor.remove_useless_columns(table) if self.remove_unused_columns else table


def named_sets() -> list[DatasetMeta]:
    """A registration for each set of the list; none where the variable is not set."""
    path = os.environ.get(ENVIRONMENT)
    if not path:
        return []
    return [
        DatasetMeta(dataset_name=name, loader=type(f"{name}_loader", (SetLoader,), {"spec": spec, "name": name}))
        for name, spec in read_sets(path).items()
    ]
