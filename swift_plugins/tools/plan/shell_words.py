"""Commands in a shell script that is read and not run: words, simple assignments, arrays, `${NAME:-default}` and `"$@"`.

Anything else of the shell (loops, functions, `$(...)`) is left as it is written.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import takewhile

ANSI_C = re.compile(r"\$'((?:[^'\\]|\\.)*)'")
DECLARES = ("export", "local", "declare", "readonly")
SET = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
ARRAY = re.compile(rf"(?:(?:{'|'.join(DECLARES)}) )?([A-Za-z_]\w*)(\+?)=\((.*)\)\s*(?:#.*)?", re.DOTALL)
USE = re.compile(r"\$\{([A-Za-z_]\w*)(?:(:?[-=+])([^{}]*))?\}|\$([A-Za-z_]\w*)")
ALL_WORDS = re.compile(r"\$\{(@|[A-Za-z_]\w*)\[@\]\}")
ENDS = re.compile(r"(\d*|&)>>?.*|[|&]")  # a redirection, a pipe or a command in the background
EXTRA = "${@[@]}"


def words_of(line: str) -> list[str]:
    """The words of a line that is quoted as bash's `printf %q` does it."""
    plain = ANSI_C.sub(lambda found: shlex.quote(found[1].encode("latin-1", "backslashreplace").decode("unicode_escape")), line)
    try:
        return shlex.split(plain, comments=False)
    except ValueError:  # an open quote
        return plain.split()


def commands_of(text: str, extra: Sequence[str]) -> Iterator[tuple[list[str], dict[str, str]]]:
    """(words, variables that were exported before them) of every simple command; `"$@"` is replaced by `extra`."""
    values: dict[str, str] = {}
    arrays: dict[str, list[str]] = {"@": list(extra)}
    exported: dict[str, str] = {}
    for line in logical_lines(text):
        if found := ARRAY.fullmatch(line):
            arrays[found[1]] = (arrays.get(found[1], []) if found[2] else []) + words_in(found[3], values, arrays)
            continue
        words = words_in(line, values, arrays)
        assigned = [SET.fullmatch(word) for word in words[bool(words) and words[0] in DECLARES :]]
        if words and not all(assigned):
            yield words, dict(exported)
            continue
        for name, value in (found.groups() for found in assigned):
            values[name] = value
            if words[0] == "export" or name in exported:
                exported[name] = value


def logical_lines(text: str) -> Iterator[str]:
    """Lines of a script, continued ones joined, without comments and blank lines."""
    joined = re.sub(r"\\\r?\n", " ", text)
    held = ""
    for line in joined.splitlines():
        held = f"{held} {line}".strip() if held else line.strip()
        if held.startswith("#"):
            held = ""
        elif held and not (re.match(r"[\w ]+\+?=\(", held) and ")" not in held):  # an array over several lines
            yield from re.split(r"\s*(?:&&|\|\||;)\s+", held)
            held = ""
    if held:
        yield held


def words_in(line: str, values: dict[str, str], arrays: dict[str, list[str]]) -> list[str]:
    """The words of a command, variables replaced by what the script, or else the environment, gives them."""
    try:
        raw = shlex.split(line.replace('"$@"', EXTRA).replace("$@", EXTRA), comments=True)
    except ValueError:  # an open quote
        raw = line.split()
    words: list[str] = []
    for word in takewhile(lambda word: not ENDS.fullmatch(word), raw):
        if found := ALL_WORDS.fullmatch(word):
            words += arrays.get(found[1], [])
        else:
            words.append(replaced(word, values))
    return words


def replaced(word: str, values: dict[str, str]) -> str:
    """A word with its variables replaced; `$(...)` and what is not known are kept as written."""

    def value(found: re.Match[str]) -> str:
        name, how, default = found[1] or found[4], found[2] or "", found[3] or ""
        held = values.get(name, os.environ.get(name))
        if how.endswith("+"):
            return replaced(default, values) if held else ""
        if held is None or (held == "" and how.startswith(":")):
            return replaced(default, values) if how else found[0]
        return held

    return USE.sub(value, word)
