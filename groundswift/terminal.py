"""Text that is safe to print: what file names and files hold cannot move the cursor, recolour, reorder or forge a line.

Messages pass here once, where they are made (`errors`), and everything else that a command prints for people passes `echo`.
"""

from __future__ import annotations

import re

# control characters of both kinds, what reorders or breaks lines, and half characters, which no output can encode
_UNSAFE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
UNSAFE, UNSAFE_IN_LINE = re.compile(f"[{_UNSAFE}]"), re.compile(f"[\t\n{_UNSAFE}]")


def printable(text: str) -> str:
    """A text of several lines with each unsafe character spelled out: ESC becomes `\\x1b`. Line breaks and tabs stay."""
    return UNSAFE.sub(_spelled, text)


def one_line(text: object) -> str:
    """The same for a text that must stay one line, such as a file name: line breaks and tabs are spelled out, too."""
    return UNSAFE_IN_LINE.sub(_spelled, str(text))


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 row`, `2 rows`; `plural`: where that is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def _spelled(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def echo(text: str, err: bool = False, nl: bool = True) -> None:
    """Print a text for people to stdout, or stderr, as `printable` leaves it."""
    import click

    click.echo(printable(text), err=err, nl=nl)


def echo_json(document: bytes | str, nl: bool = True) -> None:
    """Print a JSON document to stdout, unsafe characters of its texts escaped as JSON does it: it reads as the same document."""
    import click

    text = document.decode() if isinstance(document, bytes) else document
    click.echo(UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text), nl=nl)
