"""The journal of answers: whatever of its bytes a kill leaves, what is taken from it are whole batches, and no question twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswift.swift_plugins.tools.infer.journal import Answer, Entry, Journal, Places, entry_at, folder_of, stored

FINGERPRINT = "f" * 32


def batch(*keys: str, error: str | None = None) -> list[Entry]:
    return [Entry.of(key, FINGERPRINT, Answer(response=f"answer to {key}\n\u2028", error=error)) for key in keys]


@pytest.fixture
def folder(tmp_path) -> Path:
    made = folder_of(tmp_path / "r.jsonl")
    made.mkdir()
    return made


def test_a_file_cut_at_any_byte_gives_whole_batches_and_goes_on_behind_them(folder, tmp_path):
    journal = Journal(folder)
    sizes = []
    for keys in ("ab", "c", "def"):
        journal.add(batch(*keys))
        sizes.append(journal.path.stat().st_size)
    journal.close()
    whole = journal.path.read_bytes()
    for length in range(len(whole) + 1):
        journal.path.write_bytes(whole[:length])
        complete = "".join(keys for keys, size in zip(("ab", "c", "def"), sizes, strict=True) if size <= length)
        assert set(stored(tmp_path / "r.jsonl").lines) == set(complete)
        again = Journal(folder)
        again.add(batch("z"))
        again.close()
        places = stored(tmp_path / "r.jsonl")
        assert set(places.lines) == {*complete, "z"}
        assert entry_at(places.lines["z"], {}).response == "answer to z\n\u2028"


@given(st.binary(max_size=60), st.integers(0, 400))
def test_bytes_that_were_never_written_end_a_file(tmp_path_factory, noise, at):
    folder = folder_of(tmp_path_factory.mktemp("noise") / "r.jsonl")
    folder.mkdir()
    journal = Journal(folder)
    journal.add(batch("a", "b"))
    journal.add(batch("c"))
    journal.close()
    data = journal.path.read_bytes()
    at = min(at, len(data))
    journal.path.write_bytes(data[:at] + b"\0" + noise)
    assert set(Places().read_part(journal.path).lines) <= {"a", "b", "c"}
    assert ("a" in Places().read_part(journal.path).lines) == (at >= data.index(b"\n", data.index(b"\n") + 1) + 1)


def test_an_answer_replaces_a_failure_and_nothing_replaces_an_answer(folder, tmp_path):
    first, second = Journal(folder, 0), Journal(folder, 1)
    first.add(batch("a", "b", error="unreadable [image-unreadable]"))
    second.add(batch("a"))
    second.add(batch("a", error="later"))
    first.close()
    second.close()
    places = stored(tmp_path / "r.jsonl")
    assert (places.has_answer("a"), places.has_answer("b"), places.has_answer("c")) == (True, False, False)
    assert entry_at(places.lines["a"], {}).error is None
    assert entry_at(places.lines["b"], {}).error == "unreadable [image-unreadable]"
