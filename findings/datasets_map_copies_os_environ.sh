#!/usr/bin/env bash
# datasets 4.8.4: Dataset.map(num_proc=...) replaces os.environ with a copy
#
# Versions    datasets 4.8.4
# Input       a variable set through mock.patch.dict(os.environ) around Dataset.map(..., num_proc=1), as tests and launchers do
# Expected    after the block the variable is gone, as it is without num_proc
# Behaviour   map deep-copies os.environ before it starts workers and binds os.environ to that copy afterwards: whoever restores the
#             object from before changes what nobody reads, so the variable stays in os.environ, while a child process no longer gets it
source "$(dirname "$0")/_run.sh"
packages datasets==4.8.4
seen=$(observe <<'PYTHON'
import os, subprocess, sys
from unittest import mock

import datasets

datasets.disable_progress_bars()


def look(words):
    rows = datasets.Dataset.from_dict({"x": [1, 2]})
    environ, before = os.environ, dict(os.environ)
    with mock.patch.dict(os.environ, {"MAX_PIXELS": "1003520"}):
        rows.map(lambda row: row, **words)
    child = subprocess.run([sys.executable, "-c", "import os; print(os.environ.get('MAX_PIXELS'))"], capture_output=True, text=True)
    print(words, "same object:", os.environ is environ, "| here:", os.environ.get("MAX_PIXELS"), "| in a child:", child.stdout.strip())
    os.environ = environ


look({})
look({"num_proc": 1})
PYTHON
)
verdict "{} same object: True | here: None | in a child: None
{'num_proc': 1} same object: False | here: 1003520 | in a child: None" "$seen"
