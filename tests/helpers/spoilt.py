"""What is done to a good file: what changes nothing, and what spoils it, with what the error then says."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

HARMLESS: dict[str, Callable[[bytes], bytes]] = {  # what is done to a text that changes nothing
    "mark and CRLF": lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
    "no line break at the end": lambda text: text.rstrip(b"\n"),
}
SPOILT: dict[str, Callable[[bytes], bytes]] = {  # what is done to a file
    "empty": lambda content: b"",
    "blank": lambda content: b"\n \n",
    "only a mark": lambda content: b"\xef\xbb\xbf",
    "an empty list": lambda content: b"[]",
    "truncated": lambda content: content[: len(content) * 2 // 3],
    "gzip": gzip.compress,
    "UTF-16": lambda content: content.decode(errors="replace").encode("utf-16"),
    "Latin-1": lambda content: content.replace(b"at", b"\xe4t").replace(b"Wh", b"W\xe4"),
    "NaN": lambda content: content.replace(b'"', b"NaN", 1),
    "zero bytes at the end": lambda content: content + b"\0" * 9,
    "zero bytes": lambda content: b"\0" * 64,
    "an image": lambda content: b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "a number": lambda content: b"7\n",
    "a list": lambda content: b"[1, 2]\n",
    "an object": lambda content: b"{}\n",
    "half a character": lambda content: content.replace(b"at", b"\\ud83d"),
    "deep JSON": lambda content: b"[" * 100_000,
    "deep XML": lambda content: b"<annotation>" * 100_000,
}


def check_refused(done: Result, arguments: list[str], path: Path) -> None:
    """A conversion ended with an error that names the file or the source, and says what was expected."""
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert path.name in done.stderr or Path(arguments[2]).name in done.stderr
    assert re.search("; expected |: nothing to write: |: no row with an image|: not |: JSON nested too deep", done.stderr)
