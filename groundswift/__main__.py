"""The `groundswift` command. Ctrl-C ends it in one line, while its own modules are imported too."""

from __future__ import annotations

import sys


def main() -> object:
    """Run the command -> its exit status."""
    try:
        from .cli import main as command
    except KeyboardInterrupt:
        sys.stderr.write("\nAborted!\n")  # as click says it later
        return 1
    return command()


if __name__ == "__main__":
    sys.exit(main())
