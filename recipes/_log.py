"""Copy stdin to a log file with times, and print only progress bars: `swift sft ... 2>&1 | python _log.py LOG`.

Each line of the log begins with the local time. Of a progress bar the log keeps one state every 10 seconds and the last one.
On a terminal a bar is redrawn in place; elsewhere each bar is printed once, when it is done.
"""

import re
import sys
import time

BAR = re.compile(rb"\d+%\|")
EVERY_S = 10.0  # between two states of a bar in the log
WIDTH = 150


class Log:
    """A log file; `add` takes lines and states of progress bars."""

    def __init__(self, path: str) -> None:
        self.file = open(path, "ab", buffering=0)  # noqa: SIM115 - for the life of the process
        self.bar: tuple[bytes, float] = (b"", 0.0)  # the bar that moves, and when a state of it was last written
        self.pending = b""

    def add(self, text: bytes) -> None:
        bar = BAR.search(text)
        name = text.strip().split(b"|")[0].rstrip(b"0123456789% ") if bar else b""
        if bar and name == self.bar[0] and b"100%|" not in text and time.monotonic() - self.bar[1] < EVERY_S:
            self.pending = text
            return
        if self.pending and not bar:
            self.write(self.pending)
        self.pending = b""
        self.bar = (name, time.monotonic()) if bar else (b"", 0.0)
        self.write(text)

    def write(self, text: bytes) -> None:
        if text.strip():
            self.file.write(time.strftime("%H:%M:%S ").encode() + text.rstrip() + b"\n")


class Screen:
    """Progress bars on standard output."""

    def __init__(self) -> None:
        self.in_place, self.drawn, self.done = sys.stdout.isatty(), False, b""

    def add(self, text: bytes) -> None:
        if not BAR.search(text):
            return
        shown = text.strip()[:WIDTH]
        if self.in_place:
            sys.stdout.buffer.write(b"\r\033[K" + shown)
            self.drawn = True
        elif b"100%|" in text and (name := text.strip().split(b"|")[0]) != self.done:
            sys.stdout.buffer.write(shown + b"\n")
            self.done = name
        sys.stdout.flush()


def main() -> None:
    log, screen, line = Log(sys.argv[1]), Screen(), b""
    while chunk := sys.stdin.buffer.read1(65536):
        *lines, line = re.split(rb"[\r\n]", line + chunk)
        for text in lines:
            log.add(text)
            screen.add(text)
    log.add(line)
    if screen.drawn:
        print()


if __name__ == "__main__":
    main()
