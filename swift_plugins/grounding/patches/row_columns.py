"""Columns that evaluation needs: swift drops those that it does not know, and refuses to join ids that are numbers with ids that are texts.

COCO's image ids are numbers, those of referring expressions are texts such as `refcoco/unc/val/44/1`. The column is stored as JSON, as
swift itself stores `objects`, so that every id keeps its type; in a stream every id becomes text. Observed with ms-swift 4.6.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from datasets import Dataset, Json
from datasets.arrow_writer import ArrowWriter
from swift.dataset.preprocessor import RowPreprocessor

from .wrap_once import patch

COLUMN = "sample_id"
KEPT_COLUMNS = (COLUMN, "size_wh")
JSON_COLUMNS = (COLUMN, "rejected_objects")  # swift itself stores `objects` so


def keep_columns() -> None:
    """Keep the id that joins an answer to its ground truth, and the size of the image."""
    RowPreprocessor.standard_keys += [name for name in KEPT_COLUMNS if name not in RowPreprocessor.standard_keys]


@patch("__call__", RowPreprocessor)
def note_whether_stored(call: Callable[..., Any], self: RowPreprocessor, dataset: Any, **more: Any) -> Any:
    """A preprocessor's call that remembers whether what it makes is stored in columns, or streamed."""
    self.stores_ids = isinstance(dataset, Dataset)
    return call(self, dataset, **more)


@patch("batched_preprocess", RowPreprocessor)
def write_ids_as_json(batched_preprocess: Callable[..., Any], self: RowPreprocessor, *given: Any, **more: Any) -> dict[str, Any]:
    """A preprocessor's step that writes ids as JSON where they are stored: "139" stays a text, 139 a number. In a stream both are text."""
    columns = batched_preprocess(self, *given, **more)
    if COLUMN in columns:
        written = json.dumps if self.stores_ids else as_text
        columns[COLUMN] = list(map(written, columns[COLUMN]))
    return columns


def as_text(value: Any) -> str | None:
    """An id as text; no id stays none."""
    return None if value is None else str(value)


@patch("_patch_arrow_writer", RowPreprocessor)
@contextmanager
def store_ids_as_json(patch_arrow_writer: Callable[..., Any], self: RowPreprocessor) -> Iterator[None]:
    """A preprocessor's patch of the writer of columns that makes the ids one of JSON too."""
    with patch_arrow_writer(self):
        earlier = ArrowWriter.__init__

        def init(writer: ArrowWriter, schema: Any = None, features: Any = None, *given: Any, **more: Any) -> None:
            for name in JSON_COLUMNS if features is not None else ():
                if name in features:
                    features[name] = Json()
            earlier(writer, schema, features, *given, **more)

        ArrowWriter.__init__ = init
        try:
            yield
        finally:
            ArrowWriter.__init__ = earlier
