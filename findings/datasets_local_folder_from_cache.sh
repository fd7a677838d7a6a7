#!/usr/bin/env bash
# datasets 4.8.4: a local folder whose README names its files is read from the cache after the files have changed
#
# Versions    datasets 4.8.4
# Input       two folders with the same name in different places, such as two copies of one hub dataset. Their README has `configs:` with
#             `data_files:`, as hub datasets do, and their files differ. Then the file of the first is written anew
# Expected    the rows of the folder that is loaded, as without `configs:`
# Behaviour   load_dataset returns the rows that were loaded first, for the other folder and after the change, without a warning: the key
#             of the cache has the name of the folder and the patterns of the README, neither its path nor the time of its files.
#             download_mode="force_redownload" reads the files
source "$(dirname "$0")/_run.sh"
packages datasets==4.8.4
seen=$(observe <<'PYTHON'
import os
from pathlib import Path

os.environ["HF_DATASETS_CACHE"] = str(Path("cache").resolve())
os.environ["HF_HUB_OFFLINE"] = "1"
from datasets import load_dataset

CONFIGS = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: rows.jsonl\n---\n"


def written(place, text, readme):
    folder = Path(place) / ("boxes" if readme else "plain")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.jsonl").write_text(f'{{"text": "{text}"}}\n')
    if readme:
        (folder / "README.md").write_text(readme)
    return str(folder)


def rows(folder, **options):
    return load_dataset(folder, split="train", **options)["text"][:]


print("first", rows(written("one", "cat", CONFIGS)))
print("other folder", rows(written("two", "dog", CONFIGS)))
print("changed", rows(written("one", "owl", CONFIGS)))
print("forced", rows("one/boxes", download_mode="force_redownload"))
print("without configs", rows(written("one", "cat", "")), rows(written("two", "dog", "")))
PYTHON
)
verdict "first ['cat']
other folder ['cat']
changed ['cat']
forced ['owl']
without configs ['cat'] ['dog']" "$seen"
