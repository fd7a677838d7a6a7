"""Text as bytes, eight at a time: literals, numbers and labels at many places compared with array operations."""

from __future__ import annotations

import numpy as np

SPARE = 1024  # bytes of nothing before and behind the text, so that no place is out of reach
WORD = 8  # bytes
MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD + 1)], np.uint64)  # the first bytes of a word
MIX = np.uint64(0x9E3779B97F4A7C15)


class Words:
    """The bytes of a text, and the eight bytes from each on as one number (the first byte is the lowest)."""

    def __init__(self, data: bytes) -> None:
        nothing = bytes(SPARE)
        self.data = nothing + data + nothing
        self.bytes = np.frombuffer(self.data, np.uint8)
        self.at = np.ndarray((len(self.data) - WORD + 1,), "<u8", self.data, strides=(1,))

    def runs_of_digits(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each run of digits starts and ends."""
        digits = (self.bytes - np.uint8(ord("0"))) < 10
        edges = np.flatnonzero(digits[1:] != digits[:-1]) + 1
        return edges[::2], edges[1::2]

    def after(self, places: np.ndarray, literal: str) -> np.ndarray:
        """Whether the literal begins at each place."""
        data = literal.encode()
        fits = np.ones(len(places), bool)
        for first in range(0, len(data), WORD):
            piece = data[first : first + WORD]
            wanted, mask = np.uint64(int.from_bytes(piece, "little")), MASKS[len(piece)]
            if first == 0:
                fits = (self.at[places] & mask) == wanted
            else:
                some = np.flatnonzero(fits)
                fits[some] = (self.at[places[some] + first] & mask) == wanted
        return fits

    def before(self, places: np.ndarray, literal: str) -> np.ndarray:
        """Whether the literal ends at each place. The last bytes are looked at first."""
        data = literal.encode()
        fits = np.ones(len(places), bool)
        for last in range(len(data), 0, -WORD):
            piece = data[max(0, last - WORD) : last]
            wanted, mask, back = np.uint64(int.from_bytes(piece, "little")), MASKS[len(piece)], len(data) - last + len(piece)
            if last == len(data):
                fits = (self.at[places - back] & mask) == wanted
            else:
                some = np.flatnonzero(fits)
                fits[some] = (self.at[places[some] - back] & mask) == wanted
        return fits

    def numbers(self, ends: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The whole numbers of up to 8 digits that end at each place, int64: the digits are added by pairs, fours and eights."""
        words = self.at[ends - WORD] & ~MASKS[WORD - lengths] & np.uint64(0x0F0F0F0F0F0F0F0F)
        words = words * np.uint64(10 * 256 + 1) >> np.uint64(8) & np.uint64(0x00FF00FF00FF00FF)
        words = words * np.uint64(100 * 65536 + 1) >> np.uint64(16) & np.uint64(0x0000FFFF0000FFFF)
        return (words * np.uint64(10000 * 4294967296 + 1) >> np.uint64(32)).view(np.int64)

    def text(self, start: int, end: int) -> str:
        """A piece of it."""
        return self.data[start:end].decode("utf-8", "replace")


def distinct(words: Words, begins: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Equal pieces of text -> (which one each is, where one of each kind is among them)."""
    pieces, mixed = [], lengths.astype(np.uint64)
    for first in range(0, int(lengths.max(initial=0)), WORD):
        longer = lengths > first
        some = slice(None) if longer.all() else np.flatnonzero(longer)
        piece = words.at[begins[some] + first] & MASKS[np.minimum(lengths[some] - first, WORD)]
        mixed[some] = (mixed[some] ^ piece) * MIX
        mixed[some] ^= mixed[some] >> np.uint64(29)
        pieces.append((some, piece))
    _, examples, ids = np.unique(mixed, return_index=True, return_inverse=True)
    same = examples[ids]
    equal = lengths == lengths[same]
    for first, (some, piece) in zip(range(0, WORD * len(pieces), WORD), pieces, strict=True):
        of_example = words.at[begins[same[some]] + first] & MASKS[np.clip(lengths[same[some]] - first, 0, WORD)]
        equal[some] &= piece == of_example
    if equal.all():
        return ids, examples.tolist()
    texts = [words.data[begin : begin + length] for begin, length in zip(begins.tolist(), lengths.tolist(), strict=True)]
    kinds = {text: place for place, text in reversed(list(enumerate(texts)))}  # two texts mixed to one number
    order = {text: number for number, text in enumerate(kinds)}
    return np.array([order[text] for text in texts]), list(kinds.values())
