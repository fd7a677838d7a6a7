"""Which files the commands of this room write into their output folder, and so may replace there."""

from __future__ import annotations

from functools import partial

from groundswift import atomic_folder

EVALUATION_FILES = frozenset({"metrics.json", "test_pred.json", "run.json", "report.html"})
COMPARE_FILES = frozenset({"report.html", "summary.json"})

check_folder = partial(atomic_folder.check_folder, own_files=EVALUATION_FILES)
new_folder = partial(atomic_folder.replaced_folder, own_files=EVALUATION_FILES)
compare_folder = partial(atomic_folder.replaced_folder, own_files=COMPARE_FILES, keep_others=True)
