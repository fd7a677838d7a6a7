"""The example of every format: its files written into a folder, and the arguments of the command in its help."""

from __future__ import annotations

import json
import pickle
import shlex
from pathlib import Path
from typing import Any

from groundswift.data_converters.registry import FORMATS


def lay_out(name: str, folder: Path) -> None:
    """Write the source of a format's example."""
    for path, content in FORMATS[name].EXAMPLE.items():
        put(folder / path, content)


def put(path: Path, content: Any) -> None:
    """Write bytes or a text as they are; rows as Parquet, a pickle, JSON Lines or a JSON document, as the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(content), path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".p":
        path.write_bytes(pickle.dumps(content, protocol=2))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def out_of(arguments: list[str]) -> Path:
    """Where a command writes."""
    return Path(arguments[arguments.index("--out") + 1])


def example(name: str) -> list[str]:
    """The arguments of the example in a format's help; folders of the root are taken from the working folder."""
    text = FORMATS[name].__doc__.split("Example:")[1].replace("\\\n", " ").replace(" /data", " data")
    command, *arguments = shlex.split(text)
    assert command == "groundswift"
    return arguments
