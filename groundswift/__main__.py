"""The `groundswift` command. Ctrl-C ends it in one line, while its own modules are imported too."""

from __future__ import annotations

import sys


def main() -> object:
    """Run the command -> its exit status; one that allows it ends the process here."""
    try:
        from .gc_control import without_collection

        with without_collection():  # modules stay
            from .cli import main as command
    except KeyboardInterrupt:
        sys.stderr.write("\nAborted!\n")  # as click says it later
        return 1
    try:
        return command()
    except SystemExit as end:
        from .quick_end import end_quickly

        end_quickly(end.code)
        raise


if __name__ == "__main__":
    sys.exit(main())
