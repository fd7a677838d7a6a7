"""Pickles that are read without trust: as Python 2 wrote them, as others do, and such as nobody should open."""

from __future__ import annotations

import os
import pickle
import resource
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refcoco_fixture import Long, pickled, refs

from groundswift.data_converters.file_io.plain_pickle import plain_objects
from groundswift.data_converters.formats.refcoco.source import read_refs
from groundswift.errors import GroundswiftError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.lists(inner).map(tuple),
    max_leaves=20,
)


@pytest.mark.parametrize("protocol", [0, 2])
def test_what_python_2_wrote(protocol):
    read = plain_objects(pickled(refs(), protocol), "refs(unc).p")
    assert [each["ref_id"] for each in read] == [0, 1, 2, 44]
    assert [each["split"] for each in read] == ["val", "testA", "train", "val"]
    assert [each["sent"] for each in read[0]["sentences"]] == ["the lady", "lady in  blue", "left 'one'\\"]
    assert [each["sent"] for each in read[2]["sentences"]] == ["café sign", "café", "中 café"]
    assert read[0]["sentences"][0]["tokens"] == ["the", "lady"]


@pytest.mark.parametrize("protocol", [0, 2])
@pytest.mark.parametrize(
    ("written", "text"),
    [
        pytest.param(b"man\x92s \x93caf\xe9\x94", "man\u2019s \u201ccaf\xe9\u201d", id="Windows-1252"),
        pytest.param("man\u2019s".encode(), "man\u2019s", id="UTF-8"),
        pytest.param(b"\xff\x81", "\xff\x81", id="bytes that Windows-1252 lacks"),
    ],
)
def test_encodings_of_python_2(protocol, written, text):
    assert plain_objects(pickled([written], protocol), "x") == [text]


@pytest.mark.parametrize("protocol", [0, 2])
def test_it_is_what_pythons_own_reader_reads(protocol):
    entries = [{b"a": [1, 300, 70_000, -5, Long(12), 1.5, True, False, None], b"b": b"x" * 300, b"long": "é" * 300, b"a b": {}}]
    data = pickled(entries, protocol)
    assert plain_objects(data, "x") == pickle.loads(data, encoding="latin-1")


@pytest.mark.long
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@given(value=PLAIN)
def test_what_python_3_writes_comes_back(protocol, value):
    if protocol < 3 and pickle.dumps(value, protocol) != b"" and holds_bytes(value):
        return  # Python 3 writes bytes as a call there
    assert plain_objects(pickle.dumps(value, protocol), "x") == value


def holds_bytes(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(holds_bytes, value.values()))
    return isinstance(value, bytes) or (isinstance(value, list | tuple) and any(map(holds_bytes, value)))


class Evil:
    def __init__(self, call: tuple) -> None:
        self.call = call

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("call", ["system", "eval"])
def test_a_hostile_pickle_does_not_run(tmp_path, protocol, call):
    """Python's own reader makes the file; ours says what was forbidden."""
    owned = tmp_path / "owned"
    evil = Evil((os.system, (f"touch {owned}",)) if call == "system" else (eval, (f"open({str(owned)!r}, 'w')",)))
    data = pickle.dumps([{"split": "val"}, evil], protocol)
    with pytest.raises(GroundswiftError) as raised:
        plain_objects(data, "refs(unc).p")
    assert not owned.exists()
    assert "it would be imported or called, and was not; expected plain data" in str(raised.value)
    assert str(raised.value).startswith("refs(unc).p: byte ")
    assert {"system": "'system'", "eval": "'eval'"}[call] in str(raised.value)
    pickle.loads(data)
    assert owned.exists()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        pytest.param(b"cos\nsystem\n(S'touch owned'\ntR.", "GLOBAL 'os' 'system'", id="global"),
        pytest.param(b"(S'touch owned'\nios\nsystem\n.", "INST 'os' 'system'", id="inst"),
        pytest.param(b"\x80\x02cnumpy.core.multiarray\nscalar\nq\x01.", "GLOBAL 'numpy.core.multiarray' 'scalar'", id="numpy"),
        pytest.param(b"\x8c\x02os\x8c\x06system\x93.", "STACK_GLOBAL 'os' 'system'", id="stack global"),
        pytest.param(b"N(tR.", "REDUCE", id="reduce"),
        pytest.param(b"N}b.", "BUILD", id="build"),
        pytest.param(b"N)\x81.", "NEWOBJ", id="newobj"),
        pytest.param(b"Pname\n.", "PERSID", id="persistent"),
        pytest.param(b"\x82\x01.", "EXT1", id="extension"),
        pytest.param(b"\x8f.", "EMPTY_SET", id="set"),
    ],
)
def test_what_is_no_plain_data_is_named(data, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GroundswiftError, match=f"opcode {name}"):
        plain_objects(data, "x.p")
    assert list(tmp_path.iterdir()) == []


BOMBS = {
    "a memo of 4 billion places": b"\x80\x02K\x01r" + struct.pack("<I", 2**32 - 1) + b".",
    "a text of 2**62 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.",
    "bytes of 2**40": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
    "an array of 2**40 bytes": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
    "a frame of 2**62": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "a number of 2 GiB": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"\1.",
    "a number of a million digits": b"L" + b"9" * 1_000_000 + b"L\n.",
    "a million nested lists": b"]" * 1_000_000 + b"a" * 999_999 + b".",
    "a list within itself": b"]q\x00h\x00a.",
    "a billion laughs": b"]q\x00" + b"".join(b"](" + b"h%c" % (n - 1) * 10 + b"eq%c" % n for n in range(1, 100)) + b".",
}


@pytest.mark.process
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_neither_memory_nor_the_process(name, tmp_path):
    """In a process of its own that may have 1 GiB: plain data is read, the rest is an error."""
    path = tmp_path / "bomb.p"
    path.write_bytes(BOMBS[name])
    script = (
        "import sys; from groundswift.data_converters.formats.refcoco.source import read_refs\n"
        "from groundswift.errors import GroundswiftError\n"
        "try:\n    print(len(read_refs(sys.argv[1])), 'entries')\n"
        "except GroundswiftError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{path}: " in done.stdout or "1 entries" in done.stdout or "10 entries" in done.stdout


def entry(ref_id: int, sentences: list) -> dict:
    return {"ref_id": ref_id, "ann_id": 1, "image_id": 9, "split": "val", "sentences": sentences}


SENTENCES, LONG_TEXT = [{"sent_id": number, "sent": "x"} for number in range(2000)], "x" * 100_000
SHARING = {  # what is shared -> (entries, what is said)
    "sentences": ([entry(number, SENTENCES) for number in range(2000)], r"4000000 sentences; expected sentences that no two refs share"),
    "text": (
        [entry(1, [{"sent_id": n, "sent": LONG_TEXT} for n in range(2000)])],
        "phrases of 200000000 letters; expected phrases that no two sentences",
    ),
}


@pytest.mark.parametrize(("entries", "what"), SHARING.values(), ids=SHARING)
def test_what_is_shared_does_not_unfold_without_end(tmp_path, entries, what):
    path = tmp_path / "refs(unc).p"
    path.write_bytes(pickle.dumps(entries))
    with pytest.raises(GroundswiftError, match=rf"refs\(unc\).p: unfolds from \d+ bytes to {what}"):
        read_refs(str(path))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"", "truncated, or not a pickle (it ends at byte 0", id="empty"),
        pytest.param(pickled(refs())[:-200], "truncated", id="truncated"),
        pytest.param(pickled(refs(), 0)[:-200], "truncated", id="truncated, protocol 0"),
        pytest.param(pickled(refs())[:-1], "truncated", id="without its stop"),
        pytest.param(b"\xef\xbb\xbf" + pickled(refs()), "not a pickle (no opcode is 0xef)", id="byte order mark"),
        pytest.param(b"not a pickle", "opcode BINPERSID|byte 0", id="text"),
        pytest.param(b'[{"ref_id": 1}]', "not a pickle (no opcode is 0x5b)", id="JSON"),
        pytest.param(b"T" + struct.pack("<i", -1) + b"x.", "BINSTRING pickle has negative byte count", id="a negative length"),
        pytest.param(b"\x80\x09N.", "unsupported pickle protocol: 9", id="protocol"),
        pytest.param(b"h\x07.  ", "Memo value not found at index 7", id="unknown place"),
        pytest.param(b"a.      ", "reads an object from an empty stack", id="empty stack"),
        pytest.param(b"e.      ", "reads an object from an empty stack", id="no mark"),
        pytest.param(b"K\x01K\x02a.", "'int' object has no attribute 'append'", id="append to a number"),
        pytest.param(b"](K\x01K\x02u.", "items of a list", id="items of a list"),
        pytest.param(b"}(K\x01u.", "not a pickle (ValueError", id="a key alone"),
        pytest.param(b"}]Ns.", "a key that is a list", id="a list as key"),
        pytest.param(b"})\x85Ns.", "a key that is a tuple", id="a tuple as key"),
        pytest.param(b"Iseven\n.", "not a pickle (ValueError", id="no number"),
        pytest.param(b"S'open\n.", "the STRING opcode argument must be quoted", id="no quotes"),
        pytest.param(b"\x8c\x02\xff\xff.", "not a pickle (UnicodeDecodeError", id="no UTF-8"),
    ],
)
def test_broken_pickles(data, what):
    with pytest.raises(GroundswiftError) as raised:
        plain_objects(data, "refs(unc).p")
    assert str(raised.value).startswith("refs(unc).p: ")
    assert any(each in str(raised.value) for each in what.split("|"))
    assert "; expected " in str(raised.value)


@given(data=st.data())
def test_no_bytes_bring_anything_but_plain_data_or_an_error(data):
    """Bytes of a good pickle, changed anywhere."""
    good = bytearray(pickled(refs(), data.draw(st.sampled_from([0, 2]))))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = plain_objects(bytes(good), "x")
    except GroundswiftError:
        return
    assert isinstance(read, list | dict | tuple | str | bytes | int | float | None)


def test_a_file_with_carriage_returns():
    """Protocol 0 is text, and some tools change its line ends."""
    data = pickled([{b"a": b"text", b"n": 3, b"u": "é"}], 0)
    assert plain_objects(data.replace(b"\n", b"\r\n"), "x")[0]["n"] == 3
