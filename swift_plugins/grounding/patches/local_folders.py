"""A local folder with a dataset is read as it is now, not as it was when `datasets` first saw one of its name.

Observed with datasets 4.8.4: where the folder's README names its files (`configs:`, as in copies of hub datasets), the key of the cache is
the folder's name and those patterns, neither its path nor its files. Changed files, or another folder of that name, give the earlier rows
in silence (findings/datasets_local_folder_from_cache.sh). Here such a folder has a cache of its own for each state of its files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from datasets import config
from swift.hub.hub import HFHub

from .wrap_once import patch

README, CONFIGS = "README.md", b"configs:"


@patch("load_dataset", HFHub)
def load_as_it_is(load_dataset: Callable[..., Any], dataset_id: str, *given: Any, **more: Any) -> Any:
    """Load a dataset; a local folder whose README names its files through a cache of its own."""
    if not names_its_files(Path(dataset_id)):
        return load_dataset(dataset_id, *given, **more)
    with cache_of(state_of(Path(dataset_id))):
        return load_dataset(dataset_id, *given, **more)


def names_its_files(folder: Path) -> bool:
    """Whether a path is a local folder whose README has `configs:`."""
    readme = folder / README
    return folder.is_dir() and readme.is_file() and CONFIGS in readme.read_bytes()


def state_of(folder: Path) -> str:
    """A name for a folder's path and the names, sizes and times of its files, hidden ones aside."""
    digest = blake2b(os.path.realpath(folder).encode("utf-8", "surrogateescape"), digest_size=8)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            found = path.stat()
            digest.update(f"\n{name} {found.st_size} {found.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


@contextmanager
def cache_of(name: str) -> Iterator[None]:
    """A folder of the cache of `datasets` as its cache, while the block runs."""
    before = config.HF_DATASETS_CACHE
    config.HF_DATASETS_CACHE = os.path.join(before, f"local-{name}")
    try:
        yield
    finally:
        config.HF_DATASETS_CACHE = before
