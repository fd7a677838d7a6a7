"""Pickles of plain data, read without trust: lists, tuples, dictionaries, texts, numbers, True, False and None, and nothing else.

The annotations of the REFER datasets were pickled by Python 2. Python's own reader can be kept from calling what a file names, yet a few
bytes make it ask for all the memory there is, so the opcodes of plain data are read here, and any other is an error that names it. What is
read takes at most about a hundred times the size of the file (an empty list is one byte of it), whatever it says. Texts of Python 2 are
bytes: they are read as UTF-8 where they are that, else as Windows-1252, which is Latin-1 with quotation marks.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from groundswift.errors import error_at
from groundswift.gc_control import without_collection

PLAIN = "a pickle of lists, dictionaries, texts and numbers"
NEWEST = 5  # protocol
CALLING = {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"}
KEYS = {str, int, float, bool, bytes, type(None)}


def plain_objects(data: bytes, source: object) -> Any:
    """What a pickle holds. `source` names it in errors.

    Raises GroundswiftError with the byte at fault where it is cut short, broken, or names anything that is to be imported or called.
    """
    reader = Reader(data)
    try:
        with without_collection():
            return reader.read()
    except Refused as error:
        raise error_at(f"{source}: byte {error.at}", error.what, error.expected) from None
    except (IndexError, struct.error, Cut):
        if reader.at >= len(data) or reader.cut:
            raise error_at(source, f"cut short, or no pickle (it ends at byte {len(data)} within an object)", PLAIN) from None
        raise error_at(f"{source}: byte {reader.began}", "takes an object that is not there", PLAIN) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # ValueError: no number, no UTF-8
        raise error_at(f"{source}: byte {reader.began}", f"not a pickle ({type(error).__name__}: {str(error)[:100]})", PLAIN) from None
    except MemoryError:
        raise error_at(source, f"too large for the memory ({len(data)} bytes)", "a smaller file") from None


class Refused(Exception):
    """A pickle that is not read, and why."""

    def __init__(self, at: int, what: str, expected: str = PLAIN) -> None:
        self.at, self.what, self.expected = at, what, expected


class Cut(Exception):
    """More bytes are announced than there are."""


class Reader:
    """The state of a reading: the position, the stack, and the memo of values by number."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.began, self.cut = data, 0, 0, False
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def read(self) -> Any:
        """The top of the stack at the end."""
        data, steps = self.data, STEPS
        while True:
            self.began = at = self.at
            code = data[at]
            self.at = at + 1
            step = steps.get(code)
            if step is None:
                if code == STOP:
                    return self.stack.pop()
                raise self.refusal(code)
            step(self)

    def refusal(self, code: int) -> Refused:
        """What to say about an opcode that is not plain data."""
        known = pickletools.code2op.get(chr(code))
        if known is None:
            return Refused(self.began, f"no pickle (no opcode is 0x{code:02x})")
        what = f"opcode {known.name}"
        if known.name in ("GLOBAL", "INST"):
            what += f" {self.line()[:100].decode('latin-1')!r} {self.line()[:100].decode('latin-1')!r}"
        elif known.name == "STACK_GLOBAL":
            what += " " + " ".join(repr(each[:100]) for each in self.stack[-2:] if isinstance(each, str))
        would = "it would be imported or called, and was not" if known.name in CALLING else "no part of plain data"
        return Refused(self.began, f"{what}: {would}", f"plain data: {PLAIN}")

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count < 0 or count > len(self.data) - self.at:
            self.cut = True
            raise Cut
        self.at += count
        return self.data[self.at - count : self.at]

    def line(self) -> bytes:
        """The bytes to the end of the line."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            self.cut = True
            raise Cut
        line = self.data[self.at : end]
        self.at = end + 1
        return line

    def number(self, layout: str) -> int:
        """The next number of a binary layout."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def since_mark(self) -> list[Any]:
        """What was pushed since the last mark, taken off."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def top(self, kind: type) -> Any:
        """The top of the stack, to add to."""
        found = self.stack[-1]
        if type(found) is not kind:
            raise TypeError(f"adds to a {type(found).__name__} as if it were a {kind.__name__}")
        return found


Step = Callable[[Reader], None]


def text_of_bytes(data: bytes) -> str:
    """A text of Python 2: UTF-8 where it is that, else Windows-1252, and Latin-1 where that has no such byte."""
    for encoding in ("utf-8", "cp1252"):
        with suppress(UnicodeDecodeError):
            return data.decode(encoding)
    return data.decode("latin-1")


def pushing(value_of: Callable[[Reader], Any]) -> Step:
    """A step that pushes a value."""

    def step(reader: Reader) -> None:
        reader.stack.append(value_of(reader))

    return step


def quoted(reader: Reader) -> str:
    """A text as Python 2's repr wrote it."""
    line = reader.line().strip()
    if len(line) < 2 or line[:1] not in b"'\"" or line[-1:] != line[:1]:
        raise ValueError("a text without its quotes")
    inner = line[1:-1]
    return text_of_bytes(inner.decode("unicode_escape").encode("latin-1") if b"\\" in inner else inner)


def decimal(reader: Reader) -> int | bool:
    """A number of protocol 0, or a truth value."""
    line = reader.line().strip()
    if line in (b"00", b"01"):  # how False and True were written before they had opcodes
        return line == b"01"
    return int(line.removesuffix(b"L"))  # ValueError too where it has more digits than Python takes


def integer(reader: Reader, layout: str) -> int:
    """A number of any length; `layout` is that of the length."""
    return int.from_bytes(reader.take(reader.number(layout)), "little", signed=True)


def mark(reader: Reader) -> None:
    """Remember how high the stack is."""
    reader.marks.append(len(reader.stack))


def append(reader: Reader) -> None:
    """Add one value to the list below it."""
    value = reader.stack.pop()
    reader.top(list).append(value)


def appends(reader: Reader) -> None:
    """Add all since the last mark to the list below them."""
    values = reader.since_mark()
    reader.top(list).extend(values)


def set_item(reader: Reader) -> None:
    """Put a key and its value into the dictionary below them."""
    value = reader.stack.pop()
    key = reader.stack.pop()
    reader.top(dict).update(pairs([key, value]))


def set_items(reader: Reader) -> None:
    """Put all keys and values since the last mark into the dictionary below them."""
    values = reader.since_mark()
    reader.top(dict).update(pairs(values))


def pairs(values: list[Any]) -> dict[Any, Any]:
    """Keys and values in turn -> a dictionary. A key is a text or a number: to hash a tuple that is deep enough would end the process."""
    keys = values[::2]
    for kind in set(map(type, keys)) - KEYS:
        raise TypeError(f"a key that is a {kind.__name__}")
    return dict(zip(keys, values[1::2], strict=True))


def last(count: int) -> Callable[[Reader], tuple]:
    """Takes the last values off the stack as a tuple."""

    def take(reader: Reader) -> tuple:
        if len(reader.stack) < count:
            raise IndexError
        values = tuple(reader.stack[-count:])
        del reader.stack[-count:]
        return values

    return take


def put(index_of: Callable[[Reader], int]) -> Step:
    """A step that stores the top of the stack in the memo, under a number."""

    def step(reader: Reader) -> None:
        reader.memo[index_of(reader)] = reader.stack[-1]

    return step


def protocol(reader: Reader) -> None:
    """Pass over the number of the protocol. Raises Refused for one that is not known."""
    version = reader.data[reader.at]
    reader.at += 1
    if version > NEWEST:
        raise Refused(reader.began, f"a pickle of protocol {version}", f"protocol 0 to {NEWEST}")


def frame(reader: Reader) -> None:
    """Pass over the length of what follows, which must be there."""
    if reader.number("<Q") > len(reader.data) - reader.at:
        reader.cut = True
        raise Cut


def one_byte(reader: Reader) -> int:
    """The next byte as a number."""
    reader.at += 1
    return reader.data[reader.at - 1]


def bytes_of(layout: str) -> Callable[[Reader], bytes]:
    """Takes bytes that follow their length."""
    return lambda reader: reader.take(reader.number(layout))


def unicode_of(layout: str) -> Callable[[Reader], str]:
    """Takes a text in UTF-8 that follows its length."""
    return lambda reader: reader.take(reader.number(layout)).decode("utf-8", "surrogatepass")


def short_string(reader: Reader) -> str:
    """A text of Python 2 of at most 255 bytes."""
    return text_of_bytes(reader.take(one_byte(reader)))


BY_NAME: dict[str, Step] = {
    "PROTO": protocol,
    "FRAME": frame,
    "MARK": mark,
    "NONE": pushing(lambda reader: None),
    "NEWTRUE": pushing(lambda reader: True),
    "NEWFALSE": pushing(lambda reader: False),
    "INT": pushing(decimal),
    "LONG": pushing(decimal),
    "BININT": pushing(lambda reader: reader.number("<i")),
    "BININT1": pushing(one_byte),
    "BININT2": pushing(lambda reader: reader.number("<H")),
    "LONG1": pushing(lambda reader: integer(reader, "<B")),
    "LONG4": pushing(lambda reader: integer(reader, "<i")),
    "FLOAT": pushing(lambda reader: float(reader.line())),
    "BINFLOAT": pushing(lambda reader: reader.number(">d")),
    "STRING": pushing(quoted),
    "BINSTRING": pushing(lambda reader: text_of_bytes(reader.take(reader.number("<i")))),
    "SHORT_BINSTRING": pushing(short_string),
    "UNICODE": pushing(lambda reader: reader.line().decode("raw-unicode-escape")),
    "BINUNICODE": pushing(unicode_of("<I")),
    "SHORT_BINUNICODE": pushing(unicode_of("<B")),
    "BINUNICODE8": pushing(unicode_of("<Q")),
    "BINBYTES": pushing(bytes_of("<I")),
    "SHORT_BINBYTES": pushing(bytes_of("<B")),
    "BINBYTES8": pushing(bytes_of("<Q")),
    "EMPTY_LIST": pushing(lambda reader: []),
    "EMPTY_TUPLE": pushing(lambda reader: ()),
    "EMPTY_DICT": pushing(lambda reader: {}),
    "LIST": pushing(Reader.since_mark),
    "TUPLE": pushing(lambda reader: tuple(reader.since_mark())),
    "TUPLE1": pushing(last(1)),
    "TUPLE2": pushing(last(2)),
    "TUPLE3": pushing(last(3)),
    "DICT": pushing(lambda reader: pairs(reader.since_mark())),
    "APPEND": append,
    "APPENDS": appends,
    "SETITEM": set_item,
    "SETITEMS": set_items,
    "PUT": put(lambda reader: int(reader.line()[:20])),
    "BINPUT": put(one_byte),
    "LONG_BINPUT": put(lambda reader: reader.number("<I")),
    "MEMOIZE": put(lambda reader: len(reader.memo)),
    "GET": pushing(lambda reader: reader.memo[int(reader.line()[:20])]),
    "BINGET": pushing(lambda reader: reader.memo[one_byte(reader)]),
    "LONG_BINGET": pushing(lambda reader: reader.memo[reader.number("<I")]),
}
STEPS: dict[int, Step] = {ord(each.code): BY_NAME[each.name] for each in pickletools.opcodes if each.name in BY_NAME}
STOP = ord(".")
