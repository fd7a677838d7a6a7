"""Columns that evaluation needs: swift drops those that it does not know, and refuses to join ids that are numbers with ids that are texts.

COCO's image ids are numbers, those of referring expressions are texts such as `refcoco/unc/val/44/1`. The column is stored as JSON, as
swift itself stores `objects`, so that every id keeps its type; in a stream every id becomes text. Observed with ms-swift 4.6.0.

Of joined streams `datasets` reads the types off the first rows: boxes of later rows would become whole numbers, and a stream that begins
with rows without objects cannot be joined. Here `objects` has its type.

Texts that look like dates stay texts: ids such as "2024-01-01", labels, answers, anywhere in a JSON file. pyarrow, which reads JSON for
`datasets`, parses a column of such texts only as timestamps, and loses their spelling.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.json
from datasets import Dataset, IterableDataset, Json, List, Value, packaged_modules
from datasets.arrow_writer import ArrowWriter
from datasets.packaged_modules.json import json as reader
from swift.dataset.dataset_meta import BaseDatasetLoader
from swift.dataset.preprocessor import RowPreprocessor

from .wrap_once import on_load, patch

COLUMN = "sample_id"
KEPT_COLUMNS = (COLUMN, "size_wh", "asked")
JSON_COLUMNS = (COLUMN, "rejected_objects")  # swift itself stores `objects` so
OBJECTS = {  # the type of `objects` in a stream
    "ref": List(Value("string")),
    "bbox": List(List(Value("float64"))),
    "bbox_type": Value("string"),
    "image_id": List(Value("int64")),
}
CACHE_TAG = "-texts"  # files read without this patch are cached by `datasets` under the hash alone


@on_load
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


def with_types(join: Callable[..., Any], datasets: list[Any], *given: Any, **more: Any) -> Any:
    """swift's join of datasets, in which `objects` of every stream has its type."""
    return join([with_objects(dataset) for dataset in datasets] if len(datasets) > 1 else datasets, *given, **more)


concatenate_with_types = patch("concat_datasets", BaseDatasetLoader)(with_types)
interleave_with_types = patch("interleave_datasets", BaseDatasetLoader)(with_types)


def with_objects(dataset: Any) -> Any:
    """A stream whose `objects` has its type; any other dataset unchanged."""
    if not isinstance(dataset, IterableDataset):
        return dataset
    typed = RowPreprocessor.get_features_dataset(dataset)
    return typed.cast_column("objects", OBJECTS) if "objects" in typed.features else typed


@on_load
def keep_date_like_texts() -> None:
    """Make `datasets` read every JSON file this way, streamed or not; files cached without the patch are read again."""
    if not isinstance(reader.paj, SimpleNamespace):
        reader.paj = SimpleNamespace(**vars(pyarrow.json) | {"read_json": read_json})
    for name, (module, digest) in packaged_modules._PACKAGED_DATASETS_MODULES.items():
        if module == reader.__name__ and not digest.endswith(CACHE_TAG):
            packaged_modules._PACKAGED_DATASETS_MODULES[name] = (module, digest + CACHE_TAG)


def read_json(source: Any, read_options: pyarrow.json.ReadOptions | None = None) -> pa.Table:
    """`pyarrow.json.read_json` of a file object that can be read twice, with text for points in time. Raises as pyarrow does."""
    table = pyarrow.json.read_json(source, read_options=read_options)
    schema = pa.schema([field.with_type(text_for_time(field.type)) for field in table.schema])
    if schema.equals(table.schema):
        return table
    source.seek(0)
    return pyarrow.json.read_json(source, read_options=read_options, parse_options=pyarrow.json.ParseOptions(explicit_schema=schema))


def text_for_time(kind: pa.DataType) -> pa.DataType:
    """A type as pyarrow infers it from JSON, at any depth with text in place of points in time."""
    if pa.types.is_temporal(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(text_for_time(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(text_for_time(field.type)) for field in kind])
    return kind
