"""Pickles of plain data, read without trust: lists, tuples, dictionaries, texts, numbers, True, False and None, and nothing else.

The annotations of the REFER datasets were pickled by Python 2. Python's fast reader can be kept from calling what a file names, yet a few
bytes make it ask for all the memory there is, or hash a tuple so deep that the process ends. So its slow one, which is written in Python,
reads them, with the opcodes of plain data only; `benchmarks/refer_pickle.py` times both. What is read takes at most about a hundred times
the size of the file (an empty list is one byte of it). Texts of Python 2 are bytes: they are read as UTF-8 where they are that, else as
Windows-1252, which is Latin-1 with quotation marks.
"""

from __future__ import annotations

import pickle
import pickletools
import struct
from contextlib import suppress
from io import BytesIO
from typing import Any

from groundswift.errors import error_at
from groundswift.gc_control import without_collection

PLAIN = "a pickle of lists, dictionaries, texts and numbers"
OPCODES = """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT LONG BININT BININT1 BININT2 LONG1 LONG4 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8
    EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS
    PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET
"""
CALLING = {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"}
KEYS = {str, int, float, bool, bytes, type(None)}


def plain_objects(data: bytes, source: object) -> Any:
    """What a pickle holds. `source` names it in errors.

    Raises GroundswiftError with the byte of the problem where it is truncated, broken, or names anything that is to be imported or called.
    """
    file = BytesIO(data)
    reader = PlainUnpickler(file)
    try:
        with without_collection():
            return reader.load()
    except (pickle.UnpicklingError, EOFError, struct.error, LookupError, TypeError, ValueError, AttributeError) as error:
        at = f"{source}: byte {reader.began}"
        if isinstance(error, Refused):
            raise error_at(at, str(error), f"plain data: {PLAIN}") from None
        if isinstance(error, EOFError) or (isinstance(error, IndexError | struct.error) and file.tell() >= len(data)):
            raise error_at(source, f"truncated, or not a pickle (it ends at byte {len(data)} within an object)", PLAIN) from None
        if isinstance(error, IndexError):
            raise error_at(at, "reads an object from an empty stack", PLAIN) from None
        raise error_at(at, f"not a pickle ({type(error).__name__}: {str(error)[:100]})", PLAIN) from None
    except MemoryError:
        raise error_at(source, f"does not fit into memory ({len(data)} bytes)", "a smaller file") from None


class Refused(pickle.UnpicklingError):
    """An opcode that is not plain data."""


class PlainUnpickler(pickle._Unpickler):
    """Python's reader in Python, less all opcodes but OPCODES. `began`: the byte of the last opcode."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file)
        self.file, self.began = file, 0
        self.read, self.readline = file.read, lambda: file.readline().replace(b"\r\n", b"\n")  # some tools change the line ends of text
        self.metastack: list[list[Any]] = []
        self.stack: list[Any] = []
        self.append = self.stack.append

    def load(self) -> Any:
        """The top of the stack at the end."""
        tell, read, steps = self.file.tell, self.read, STEPS
        try:
            while True:
                self.began = tell()
                code = read(1)
                step = steps.get(code) or self.refuse(code)
                step(self)
        except pickle._Stop as end:
            return end.value

    def refuse(self, code: bytes) -> None:
        """Raise EOFError at the end of the data, else Refused for an opcode that is not plain data."""
        if not code:
            raise EOFError
        opcode = pickletools.code2op.get(code.decode("latin-1"))
        if opcode is None:
            raise Refused(f"not a pickle (no opcode is 0x{code.hex()})")
        named = [self.readline()[:-1].decode("latin-1") for _ in range(2)] if opcode.name in ("GLOBAL", "INST") else self.stack[-2:]
        names = [repr(each[:100]) for each in named if isinstance(each, str)]
        would = "it would be imported or called, and was not" if opcode.name in CALLING else "not plain data"
        raise Refused(f"opcode {' '.join([opcode.name, *names])}: {would}")

    def _decode_string(self, value: bytes) -> str:
        """A text of Python 2: UTF-8 where it is that, else Windows-1252, and Latin-1 where that has no such byte."""
        for encoding in ("utf-8", "cp1252"):
            with suppress(UnicodeDecodeError):
                return value.decode(encoding)
        return value.decode("latin-1")

    def load_frame(self) -> None:
        """Pass over the length of what follows, which must be there."""
        if struct.unpack("<Q", self.read(8))[0] > self.file.getbuffer().nbytes - self.file.tell():
            raise EOFError

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self.add_items(items)

    def load_setitem(self) -> None:
        value = self.stack.pop()
        self.add_items([self.stack.pop(), value])

    def load_setitems(self) -> None:
        self.add_items(self.pop_mark())

    def add_items(self, items: list[Any]) -> None:
        """Put keys and values, in turn, into the dictionary on the stack. A key is a text or a number: to hash a tuple that is deep enough
        would end the process."""
        if type(self.stack[-1]) is not dict:
            raise TypeError(f"items of a {type(self.stack[-1]).__name__}")
        keys = items[::2]
        for kind in set(map(type, keys)) - KEYS:
            raise TypeError(f"a key that is a {kind.__name__}")
        self.stack[-1].update(zip(keys, items[1::2], strict=True))


STEPS = {
    each.code.encode("latin-1"): getattr(PlainUnpickler, pickle._Unpickler.dispatch[ord(each.code)].__name__)
    for each in pickletools.opcodes
    if each.name in OPCODES.split()
}
