"""Texts that look like dates stay texts: ids such as "2024-01-01", labels, answers, solutions, anywhere in a JSON file.

pyarrow, which reads JSON for `datasets`, parses a column of such texts only as timestamps, and loses their spelling.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.json
from datasets import packaged_modules
from datasets.packaged_modules.json import json as reader

CACHE_TAG = "-texts"  # files read without this patch are cached by `datasets` under the hash alone


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
