"""Optimal assignment: which rows and columns of a table are paired so that the sum is greatest. The Hungarian algorithm, O(n²m)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def assigned(values: ArrayLike) -> list[tuple[int, int]]:
    """Pairs (row, column) with the greatest sum, by row; each row and column at most once, as many pairs as the shorter side.

    `values` is (n, m), finite. Of equal sums any may come. Source: shortest augmenting paths, as scipy's `linear_sum_assignment`.
    """
    gains = np.asarray(values, dtype=np.float64)
    if gains.size == 0:
        return []
    if gains.shape[0] > gains.shape[1]:
        return sorted((row, column) for column, row in assigned(gains.T))
    costs = gains.max() - gains
    rows, columns = costs.shape
    row_of = np.full(columns + 1, rows, dtype=np.int64)  # of each column; the last column holds the row that is being placed
    of_rows, of_columns = np.zeros(rows + 1), np.zeros(columns + 1)  # potentials
    for row in range(rows):
        row_of[columns] = row
        _augment(costs, row_of, of_rows, of_columns)
    return sorted((int(row_of[column]), column) for column in range(columns) if row_of[column] < rows)


def _augment(costs: np.ndarray, row_of: np.ndarray, of_rows: np.ndarray, of_columns: np.ndarray) -> None:
    """Place one more row, along the cheapest path of changed pairs."""
    rows, columns = costs.shape
    distance, before, seen = np.full(columns, np.inf), np.full(columns, columns), np.zeros(columns + 1, dtype=bool)
    column = columns
    while row_of[column] < rows:
        seen[column], row = True, row_of[column]
        free = ~seen[:columns]
        reached = costs[row] - of_rows[row] - of_columns[:columns]
        nearer = free & (reached < distance)
        distance[nearer], before[nearer] = reached[nearer], column
        following = int(np.argmin(np.where(free, distance, np.inf)))
        step = distance[following]
        of_rows[row_of[seen]] += step
        of_columns[seen] -= step
        distance[free] -= step
        column = following
    while column != columns:
        row_of[column] = row_of[before[column]]
        column = before[column]
