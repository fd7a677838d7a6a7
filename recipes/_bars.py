"""Copy standard input to a log file and let only progress bars through: `swift sft ... 2>&1 | python _bars.py LOG`.

On a terminal a bar is redrawn in place; elsewhere each bar is printed once, when it is done.
"""

import re
import sys

BAR = re.compile(rb"\d+%\|")


def main() -> None:
    in_place = sys.stdout.isatty()
    drawn, done = False, b""
    with open(sys.argv[1], "ab", buffering=0) as log:
        line = b""
        while chunk := sys.stdin.buffer.read1(65536):
            log.write(chunk)
            *lines, line = re.split(rb"[\r\n]", line + chunk)
            for text in filter(BAR.search, lines):
                if in_place:
                    sys.stdout.buffer.write(b"\r\033[K" + text.strip()[:150])
                    drawn = True
                elif b"100%|" in text and (name := text.strip().split(b"|")[0]) != done:
                    sys.stdout.buffer.write(text.strip()[:150] + b"\n")
                    done = name
            sys.stdout.flush()
    if drawn:
        print()


if __name__ == "__main__":
    main()
