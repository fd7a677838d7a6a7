"""Reading the pickles of REFER: plain_pickle, and Python's reader in C with every import refused, both in this run.

- CPU seconds for a file of RefCOCO's size (50,000 refs, 142,000 sentences), by protocol; medians.
- what a reader of others' files needs: nothing is imported, and a file of 10 bytes does not take hundreds of MB.

    python benchmarks/refer_pickle.py
    python benchmarks/refer_pickle.py --refs 1000 --json
"""

from __future__ import annotations

import argparse
import itertools
import json
import pickle
import random
import struct
import subprocess
import sys
import time
from functools import partial
from io import BytesIO
from typing import Any

from measure import JSON, medians, needs_lines, options_of, peak_bytes, rounds, show

from groundswift.data_converters.file_io.plain_pickle import plain_objects
from groundswift.errors import GroundswiftError
from groundswift.gc_control import without_collection

WORDS = "man woman left right red shirt the in of blue chair on table second from front guy girl white black horse".split()  # noqa: SIM905
PLACES = 1 << 24  # of the memo: enough to show, 256 MB in C
HARMLESS = {"imports": b"cos\ngetcwd\n)R.", "MB for 10 bytes": b"\x80\x02K\x01r" + struct.pack("<I", PLACES) + b"."}


class Refusing(pickle.Unpickler):
    """Python's reader in C, kept from importing."""

    def find_class(self, module: str, name: str) -> Any:
        """Raise UnpicklingError."""
        raise pickle.UnpicklingError(f"{module}.{name}")


READERS = {"ours": lambda data: plain_objects(data, "refs.p"), "C": lambda data: Refusing(BytesIO(data), encoding="latin-1").load()}


def refs(count: int) -> list[dict[str, Any]]:
    """Entries as REFER has them, with 142 sentences for 50 of them."""
    rng, made, sent_ids = random.Random(0), [], itertools.count()
    for ref_id in range(count):
        sentences = []
        for sent_id in itertools.islice(sent_ids, 3 if ref_id % 50 < 42 else 2):
            tokens = rng.choices(WORDS, k=rng.randint(2, 6))
            sentences.append({"tokens": tokens, "raw": " ".join(tokens).upper(), "sent_id": sent_id, "sent": " ".join(tokens)})
        numbers = {"ann_id": rng.randrange(10**6), "image_id": rng.randrange(600_000), "category_id": 1, "ref_id": ref_id}
        texts = {"file_name": f"COCO_train2014_{numbers['image_id']:012d}_{ref_id}.jpg", "split": "train"}
        made.append({"sent_ids": [each["sent_id"] for each in sentences], "sentences": sentences, **numbers, **texts})
    return made


def seconds(count: int, repeats: int) -> dict[str, dict[str, float]]:
    """Median CPU seconds by protocol and reader; both must read the same."""
    entries, table = refs(count), {}
    for protocol in (0, 2):
        data = pickle.dumps(entries, protocol)
        assert all(read(data) == entries for read in READERS.values())
        with without_collection():
            ways = {name: partial(read, data) for name, read in READERS.items()}
            table[f"protocol {protocol}, {len(data) / 1e6:.1f} MB"] = medians(ways, repeats, time.process_time)
    return table


def need(name: str, reader: str) -> str | float:
    """What comes of one harmless file, in a process of its own."""
    return json.loads(subprocess.run([sys.executable, __file__, "--need", name, reader], capture_output=True, check=True).stdout)


def outcome(name: str, reader: str) -> str | float:
    """`refused` or what was read; of the other file, the MB that reading it took."""
    before = peak_bytes()
    try:
        found = READERS[reader](HARMLESS[name])
    except (GroundswiftError, pickle.UnpicklingError):
        found = "refused"
    return str(found) if name == "imports" else round((peak_bytes() - before) / 1e6, 1)


def main() -> None:
    """Both tables."""
    refs_of = {"type": int, "default": 50_000, "help": "entries of the file"}
    options = options_of(__doc__, refs=refs_of, repeats=rounds(3), json=JSON, need={"nargs": 2, "help": argparse.SUPPRESS})
    if options.need:
        print(json.dumps(outcome(*options.need)))
        return
    needs = {name: {reader: need(name, reader) for reader in READERS} for name in HARMLESS}
    result = {"seconds": seconds(options.refs, options.repeats), "needs": needs}
    lines = [
        f"{label}: " + " ".join(f"{reader} {each:.2f} s;" for reader, each in times.items()) for label, times in result["seconds"].items()
    ]
    show(result, options.json, [*lines, *needs_lines(needs)])


if __name__ == "__main__":
    main()
