"""Shell functions that hand their arguments to a swift command: `train() { swift sft "$@"; }`, then `train --sft_type lora`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .commands import Found
from .shell import ASSIGNED, Command, Scan

DEFINED = re.compile(r"^[ \t]*(?:function[ \t]+)?([A-Za-z_][\w-]*)[ \t]*(?:\([ \t]*\))?\s*\{", re.MULTILINE)
ALL_ARGUMENTS = ('"$@"', "$@", '"$*"', "$*", '"${@}"', "${@}")


class Functions:
    """The functions of a script that wrap a swift command, by name: the command in their body."""

    def __init__(self, text: str, founds: Iterable[Found]) -> None:
        bodies = [
            (found[1], found.end(), Scan(text, 0, 0).closed("{", "}", found.end() - 1, len(text))) for found in DEFINED.finditer(text)
        ]
        self.by_name = {
            name: found
            for found in founds
            for name, start, end in bodies
            if start <= found.route_word.start < end and any(word.raw in ALL_ARGUMENTS for word in found.args)
        }

    def call(self, command: Command) -> tuple[Found, Found] | None:
        """(the call as a swift command with its own arguments, the command in the body); None for anything else."""
        at = next((at for at, word in enumerate(command.words) if not ASSIGNED.match(word.raw)), None)
        if at is None or command.array or command.words[at].value not in self.by_name or len(command.words) == at + 1:
            return None
        body = self.by_name[command.words[at].value]
        word = command.words[at]
        return Found(body.command, body.command, word, "function", command.words[:at], command.words[at + 1 :]), body
