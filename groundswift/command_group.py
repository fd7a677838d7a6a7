"""The base of all groups of subcommands: a name with a slip gets the one that was meant."""

from __future__ import annotations

import click


class CommandGroup(click.Group):
    """A click group whose subcommands are listed by `list_commands`, and loaded by `get_command` when they are named."""

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(context, args)
        except click.UsageError:
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.list_commands(context), 1)
            if not close or close == args[:1]:
                raise
            raise click.UsageError(f"No such command {args[0]!r}; did you mean {close[0]}?", context) from None
