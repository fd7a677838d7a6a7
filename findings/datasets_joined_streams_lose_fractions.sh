#!/usr/bin/env bash
# datasets 4.8.4: joined streams lose the fractions of box coordinates if their first five rows are whole numbers
#
# Versions    datasets 4.8.4
# Input       two streams of rows with a list of numbers, as boxes are; the first six rows of each hold whole numbers, later ones fractions
# Expected    the values of each stream, as each gives them alone, or an error about types that differ
# Behaviour   concatenate_datasets and interleave_datasets take the types of a stream without declared features from its first five rows,
#             and cast all later rows to them: 1.5 becomes 1, without an error or a warning. `features=` of from_generator prevents it
source "$(dirname "$0")/_run.sh"
packages datasets==4.8.4
seen=$(observe <<'PYTHON'
from datasets import Features, IterableDataset, List, Value, concatenate_datasets, interleave_datasets


def rows():
    yield from ({"box": [1, 2]} if number < 6 else {"box": [1.5, 2.5]} for number in range(8))


def last(stream):
    return list(stream)[-1]["box"]


alone = IterableDataset.from_generator(rows)
declared = IterableDataset.from_generator(rows, features=Features({"box": List(Value("float64"))}))
print("alone", last(alone))
print("concatenated", last(concatenate_datasets([alone, alone])))
print("interleaved", last(interleave_datasets([alone, alone])))
print("declared, concatenated", last(concatenate_datasets([declared, declared])))
PYTHON
)
verdict "alone [1.5, 2.5]
concatenated [1, 2]
interleaved [1, 2]
declared, concatenated [1.5, 2.5]" "$seen"
