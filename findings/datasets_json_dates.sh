#!/usr/bin/env bash
# datasets 4.8.4 reads a JSON column that holds only date-like texts as datetimes, and loses their spelling
#
# Versions    datasets 4.8.4, pyarrow 25.0.1
# Input       JSON lines whose ids, and texts in lists, look like dates
# Expected    JSON has strings only, so "2024-01-01" stays "2024-01-01", whatever the other rows hold
# Behaviour   lines go to pyarrow.json, which infers timestamps from strings: the id comes back as datetime(2024, 1, 1), in lists too,
#             stored or streamed, and to_json writes it as 1704067200000. One other text in the column, and all of them stay texts.
source "$(dirname "$0")/_run.sh"
packages datasets==4.8.4 pyarrow==25.0.1
seen=$(observe <<'PYTHON'
import json

from datasets import disable_progress_bars, load_dataset

disable_progress_bars()


def first(*ids, streaming=False):
    with open(f"{ids[-1]}.jsonl", "w") as file:
        file.writelines(json.dumps({"id": each, "labels": [each]}) + "\n" for each in ids)
    row = next(iter(load_dataset("json", data_files=file.name, split="train", streaming=streaming, cache_dir="cache")))
    return type(row["id"]).__name__, type(row["labels"][0]).__name__


print("all date-like:", *first("2024-01-01", "2024-01-02"))
print("all date-like, streamed:", *first("2024-01-01", "2024-01-02", streaming=True))
load_dataset("json", data_files="2024-01-02.jsonl", split="train", cache_dir="cache").to_json("saved.jsonl")
print("saved:", open("saved.jsonl").readline().strip())
print("one is not:", *first("2024-01-01", "cat"))
PYTHON
)
verdict "all date-like: datetime datetime
all date-like, streamed: datetime datetime
saved: {\"id\":1704067200000,\"labels\":[1704067200000]}
one is not: str str" "$seen"
