"""Fingerprints of the files that a training reads, so that a resumed one can see whether they are the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from swift.dataset import DatasetSyntax

PIECE = 16 * 1024 * 1024  # bytes read at once
MOST_PIECES = 64  # per file: up to 1 GiB is read whole, a larger file at evenly spaced places
SUFFIXES = (".jsonl", ".json", ".csv", ".parquet", ".arrow", ".txt")  # of data in a folder that is a dataset


def fingerprints(names: Iterable[str]) -> dict[str, str]:
    """Size and SHA-256 of each local file that `--dataset` names, by absolute path. Hub datasets and named sets have none."""
    return {str(path): fingerprint(path) for name in names for path in files_of(name)}


def files_of(name: str) -> list[Path]:
    """The files behind one value of `--dataset` (`rows.jsonl`, `rows.jsonl#100`, a folder); empty where it is not a local path."""
    path = Path(os.path.abspath(os.path.expanduser(DatasetSyntax.parse(name).dataset)))
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES and each.is_file())
    return [path] if path.is_file() else []


def fingerprint(path: Path) -> str:
    """`<size> bytes, sha256 <16 digits>` of a file."""
    size = path.stat().st_size
    step = max(PIECE, -(-size // MOST_PIECES))
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for start in range(0, size, step):
            file.seek(start)
            digest.update(file.read(PIECE))
    return f"{size} bytes, sha256 {digest.hexdigest()[:16]}"
