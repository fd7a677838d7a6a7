"""Tables that are data, not code: tab-separated files of a package."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files


def table_rows(package: str, name: str, columns: int) -> Iterator[list[str]]:
    """The cells of each row of a file, without `#` comments and blank lines; cells missing at the end of a row are empty."""
    for line in (files(package) / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            cells = line.split("\t")
            assert len(cells) <= columns, f"{name}: {line!r}"
            yield cells + [""] * (columns - len(cells))
