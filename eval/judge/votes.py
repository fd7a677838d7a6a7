"""Votes of several judges: the majority, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence

Votes = Sequence[bool | None]  # of the judges on one answer; None without a vote


def majority(votes: Votes) -> bool | None:
    """What most judges say, of those who voted; None for a tie and without a vote."""
    given = [vote for vote in votes if vote is not None]
    yes = sum(given)
    return None if 2 * yes == len(given) else 2 * yes > len(given)


def agrees(votes: Votes) -> bool | None:
    """Whether all judges say the same; None where one did not vote, or there is only one."""
    return None if None in votes or len(votes) < 2 else len(set(votes)) == 1


def kappa(table: Sequence[Votes]) -> float | None:
    """Agreement beyond chance: Cohen's kappa of two judges, Fleiss' of more, over answers on which all voted; None where undefined.

    -1 to 1; undefined without such an answer, and where all votes are the same, so that chance agrees always.
    """
    rows = [[bool(vote) for vote in votes] for votes in table if None not in votes]
    judges = len(rows[0]) if rows else 0
    if judges < 2:
        return None
    yes = [sum(row) for row in rows]
    observed = sum(count * (count - 1) + (judges - count) * (judges - count - 1) for count in yes) / (len(rows) * judges * (judges - 1))
    if judges == 2:
        first, second = (sum(row[place] for row in rows) / len(rows) for place in (0, 1))
        expected = first * second + (1 - first) * (1 - second)
    else:
        share = sum(yes) / (len(rows) * judges)
        expected = share**2 + (1 - share) ** 2
    return None if expected == 1 else (observed - expected) / (1 - expected)
