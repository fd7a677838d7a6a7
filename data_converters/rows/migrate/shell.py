"""Words of a shell script with their positions: enough of bash to find commands and to change single words.

Quotes, escapes, line continuations, comments, here-documents, arrays and substitutions are followed; nothing is expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

BLANK = " \t"
CONTROL = ";&|()<>\n"
PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./#~{}\[\]^-]+")
ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\+?=")
NAME = r"[A-Za-z_][A-Za-z0-9_]*"
VARIABLE = re.compile(rf"""(["']?)\$(?:({NAME})|\{{({NAME})(?:\[[@*]\])?(?::?-[^{{}}$`"]*)?\}})\1""")
HEREDOC = re.compile(r"<<(-?)[ \t]*(\\?)(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\3")


class Word(NamedTuple):
    """One word: `start` and `end` in the script, its `raw` text, and its `value` without quotes; None where the shell expands something."""

    start: int
    end: int
    raw: str
    value: str | None

    @property
    def variable(self) -> str | None:
        """The name, where the word is one variable and nothing else: `$A`, `"${A}"`, `"${A[@]}"`, `${A:-x}`."""
        found = VARIABLE.fullmatch(self.raw)
        return (found[2] or found[3]) if found else None


class Command(NamedTuple):
    """A simple command: its words in order, without redirections. `array`: the name, if they are `NAME=(...)`."""

    words: list[Word]
    array: str | None = None


class Inner(NamedTuple):
    """Script text within a word or here-document: its span, and the quote around it ('"', "'" or none)."""

    start: int
    end: int
    quote: str


class Scan:
    """One pass over `text[start:end]`: `commands`, and `inners` to scan next."""

    def __init__(self, text: str, start: int = 0, end: int | None = None) -> None:
        self.text, self.at, self.end = text, start, len(text) if end is None else end
        self.commands: list[Command] = []
        self.inners: list[Inner] = []
        self._heredocs: list[tuple[str, bool]] = []
        self._run()

    def _run(self) -> None:
        words: list[Word] = []
        arrays: list[str] = []
        target = False  # the next word is where a redirection goes
        while self.at < self.end:
            char = self.text[self.at]
            if char in BLANK or self._continued():
                self.at += 1 if char in BLANK else self._continued()
            elif char == "\r":
                self.at += 1
            elif char == "#":
                self.at = self._until("\n", self.at)
            elif char in CONTROL:
                target = self._control(char, words, arrays) or (target and char not in "\n;")
            else:
                word = self._word()
                if self.text[word.end : word.end + 1] == "(" and ASSIGNED.fullmatch(word.raw):
                    self._flush(words, None)
                    arrays.append(ASSIGNED.fullmatch(word.raw)[1])
                    self.at += 1
                elif not target and not (word.raw.isdigit() and self.text[word.end : word.end + 1] in ("<", ">")):
                    words.append(word)
                target = False
        self._flush(words, arrays[-1] if arrays else None)

    def _control(self, char: str, words: list[Word], arrays: list[str]) -> bool:
        """Pass an operator. Returns whether a redirection wants its target next."""
        heredoc = HEREDOC.match(self.text, self.at) if char == "<" else None
        if heredoc and self.text[self.at : self.at + 3] != "<<<":
            self._heredocs.append((heredoc[4], bool(heredoc[1])))
            self.at = heredoc.end()
            return False
        if char in "<>" or (char == "&" and self.text[self.at + 1 : self.at + 2] == ">"):
            while self.at < self.end and self.text[self.at] in "<>&|":
                self.at += 1
            return True
        self.at += 1
        if char == "\n" and arrays:
            return False
        self._flush(words, arrays[-1] if arrays else None)
        if char == ")" and arrays:
            arrays.pop()
        if char == "\n":
            self._skip_heredocs()
        return False

    def _flush(self, words: list[Word], array: str | None) -> None:
        if words:
            self.commands.append(Command(list(words), array))
            words.clear()

    def _continued(self) -> int:
        """Length of a line continuation here, else 0."""
        for mark in ("\\\n", "\\\r\n"):
            if self.text.startswith(mark, self.at):
                return len(mark)
        return 0

    def _skip_heredocs(self) -> None:
        for delimiter, dashed in self._heredocs:
            start = self.at
            while self.at < self.end:
                end = self._until("\n", self.at)
                line = self.text[self.at : end]
                body_end, self.at = self.at, min(end + 1, self.end)
                if (line.lstrip("\t") if dashed else line).rstrip("\r") == delimiter:
                    self.inners.append(Inner(start, body_end, ""))
                    break
        self._heredocs.clear()

    def _word(self) -> Word:
        start, value = self.at, []
        static = True
        while self.at < self.end and self.text[self.at] not in BLANK + CONTROL + "\r":
            char = self.text[self.at]
            if self._continued():
                self.at += self._continued()
            elif char == "'":
                end = self._until("'", self.at + 1)
                value.append(self.text[self.at + 1 : end])
                self.inners.append(Inner(self.at + 1, end, "'"))
                self.at = end + 1
            elif char == '"':
                static &= self._double(value)
            elif char == "\\":
                value.append(self.text[self.at + 1 : self.at + 2])
                self.at += 2
            elif char in "$`":
                static &= self._expansion(value)
            else:
                value.append(char)
                self.at += 1
        return Word(start, min(self.at, self.end), self.text[start : min(self.at, self.end)], "".join(value) if static else None)

    def _until(self, mark: str, at: int) -> int:
        """Position of the next `mark`, or the end."""
        found = self.text.find(mark, at, self.end)
        return self.end if found < 0 else found

    def _double(self, value: list[str]) -> bool:
        """Pass a double-quoted part. Returns whether nothing in it is expanded."""
        self.at += 1
        start, static = self.at, True
        while self.at < self.end and self.text[self.at] != '"':
            char = self.text[self.at]
            if char == "\\":
                after = self.text[self.at + 1 : self.at + 2]
                value.append("" if after == "\n" else after if after in '"\\$`' else "\\" + after)
                self.at += 2
            elif char in "$`":
                static &= self._expansion(value)
            else:
                value.append(char)
                self.at += 1
        self.inners.append(Inner(start, min(self.at, self.end), '"'))
        self.at += 1
        return static

    def _expansion(self, value: list[str]) -> bool:
        """Pass `$...` or backquotes. Returns False where the shell would put something in their place."""
        text, at = self.text, self.at
        if text[at] == "`":
            end = self._until("`", at + 1)
            self.inners.append(Inner(at + 1, end, ""))
            self.at = end + 1
        elif text.startswith("$(", at):
            end = self.closed("(", ")", at + 1, self.end)
            self.inners.append(Inner(at + 2, end, ""))
            self.at = end + 1
        elif text.startswith("${", at):
            self.at = self.closed("{", "}", at + 1, self.end) + 1
        elif found := re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])").match(text, at):
            self.at = found.end()
        elif text.startswith("$'", at) or text.startswith('$"', at):
            self.at += 1
            return True
        else:
            value.append("$")
            self.at += 1
            return True
        return False

    def closed(self, opening: str, closing: str, at: int, stop: int) -> int:
        """Position of the bracket that closes the one at `at`; `stop` where none does."""
        depth, quote = 0, ""
        while at < stop:
            char = self.text[at]
            if char == "\\" and quote != "'":
                at += 1
            elif quote:
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            elif char == opening:
                depth += 1
            elif char == closing:
                depth -= 1
                if not depth:
                    return at
            at += 1
        return stop


def quoted(value: str, like: str = "") -> str:
    """A value as one shell word, in the quotes of `like`, the word that it replaces."""
    if len(like) > 1 and like[0] in "'\"" and like[-1] == like[0] and not set(value) & set("'\"\\$`"):
        return like[0] + value + like[0]
    if PLAIN.fullmatch(value) and not value.startswith(("#", "~")):
        return value
    return "'" + value.replace("'", "'\\''") + "'"


def assignments(words: list[Word]) -> Iterator[tuple[str, Word]]:
    """(name, word of the whole `NAME=value`) of the assignments that open a command, after `export` and the like."""
    for word in words:
        if found := ASSIGNED.match(word.raw):
            yield found[1], word
        elif word.value not in ("export", "env", "declare", "local", "readonly", "typeset", "-x", "-gx"):
            return
