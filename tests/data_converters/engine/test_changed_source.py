"""A document that another program truncates or writes to while it is read; `test_contract` has every format."""

import os

import pytest

from groundswift.data_converters.file_io.mmap_json import content_of
from groundswift.errors import GroundswiftError


def test_a_source_that_grows_while_it_is_read_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"[1, 2]")

    class Growing:
        """The file, and a program that writes to it before it is read."""

        def __init__(self, file):
            self.fileno, self.whole = file.fileno, file.read

        def read(self):
            with open(path, "ab") as other:
                other.write(b"3")
            return self.whole()

    with open(path, "rb") as file, pytest.raises(GroundswiftError, match=r"a.json: changed while being read"):
        content_of(Growing(file), str(path))


def test_a_document_beyond_memory_is_a_mapped_copy(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_bytes(b"[1, 2]" * 100)
    with open(path, "rb") as file:
        assert isinstance(content_of(file, str(path)), bytes)
    monkeypatch.setattr(os, "sysconf", lambda name: 16)
    with open(path, "rb") as file:
        mapped = content_of(file, str(path))
    os.truncate(path, 0)
    assert not isinstance(mapped, bytes)
    assert mapped[:] == b"[1, 2]" * 100
