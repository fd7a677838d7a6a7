"""Rows -> an Arrow file behind swift's datasets, written once and row by row, so that memory does not grow with the rows.

Columns have the types that swift gives to those of a JSONL file, so that both can be joined.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
from datasets import Dataset, Features, IterableDataset, Json, List, Value
from datasets.arrow_writer import ArrowWriter
from modelscope.hub.utils.utils import get_cache_dir
from swift.utils import is_dist, is_master, safe_ddp_context

from groundswift.atomic_write import staged
from groundswift.records import Row

from ..patches.row_columns import OBJECTS

FEATURES = Features(
    {
        "messages": List(Json()),
        "images": List({"bytes": Value("binary"), "path": Value("string")}),
        "videos": List(Value("string")),
        "objects": Json(),
        "sample_id": Json(),  # numbers and texts both
        "size_wh": List(Value("int64")),
    }
)
STREAMED = Features(
    FEATURES | {"messages": List({"role": Value("string"), "content": Value("string")}), "objects": OBJECTS, "sample_id": Value("string")}
)
_encode = msgspec.json.Encoder().encode
BATCH = 256  # rows that the writer holds; with their images about 50 MB
EmbeddedImage = dict[str, Any]  # {bytes, path}, as a hub's row has it


def columns_of(row: Row, embedded: list[EmbeddedImage] | None = None) -> dict[str, Any]:
    """A row as swift's columns; `embedded` in place of the paths of its images."""
    images = embedded if embedded is not None else [{"bytes": None, "path": path} for path in row.images]
    return {
        "messages": [{"role": each.role, "content": each.content} for each in row.messages],
        "images": images or None,
        "videos": row.videos or None,
        "objects": None if row.objects is None else msgspec.to_builtins(row.objects),
        "sample_id": row.sample_id,
        "size_wh": None if row.size_wh is None else list(row.size_wh),
    }


def written_once(name: str, key: object, rows: Callable[[], Iterable[dict[str, Any]]]) -> Dataset:
    """The rows as a dataset over an Arrow file in swift's cache. An error of the rows leaves no file.

    `key`: what the rows depend on. Of several processes the first writes, and the others take its file.
    """
    digest = blake2b(repr(key).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    folder = os.path.join(get_cache_dir(), "datasets", "groundswift")
    path = os.path.join(folder, f"{name}-{digest}.arrow")
    with safe_ddp_context(path):
        if not (is_dist() and not is_master() and os.path.exists(path)):
            os.makedirs(folder, exist_ok=True)
            _write(path, rows())
    table = Dataset.from_file(path)
    return table.remove_columns(empty_columns(table))


def _write(path: str, rows: Iterable[dict[str, Any]]) -> None:
    with staged(Path(path)) as temporary:
        writer = ArrowWriter(path=str(temporary), features=FEATURES, writer_batch_size=BATCH)
        for row in rows:
            writer.write(row | {name: stored(row[name]) for name in ("messages", "objects", "sample_id")})
        writer.finalize()


def stored(value: Any) -> str | list[str] | None:
    """What a column of JSON stores for a value; of a list, for each of its elements."""
    if value is None:
        return None
    return [_encode(each).decode() for each in value] if isinstance(value, list) else _encode(value).decode()


def empty_columns(table: Dataset) -> list[str]:
    """The columns without a value in any row, which a JSONL file would not have."""
    return [name for name in ("images", "videos", "size_wh", "objects", "sample_id") if table.data.column(name).null_count == len(table)]


def streamed(rows: Callable[[], Iterable[dict[str, Any]]]) -> IterableDataset:
    """The rows as they come, for `--streaming true`. `rows` has to be picklable.

    Types that `datasets` reads off the first rows would turn later boxes into whole numbers, or drop what the first rows lack. Ids become
    text, since it joins no streams with ids of two types.
    """
    return IterableDataset.from_generator(rows, features=STREAMED)
