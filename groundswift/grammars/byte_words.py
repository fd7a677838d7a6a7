"""Text as bytes, eight at a time: literals, numbers and labels at many places compared with array operations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SPARE = 1024  # bytes of nothing before and behind the text, so that no place is out of reach
WORD, HALF = 8, 4  # bytes
BUCKET_BITS = 15  # of a table that finds equal numbers
FEW_BYTES = 2  # of a literal that is compared byte by byte
MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD + 1)], np.uint64)  # the first bytes of a word
HALF_MASKS = MASKS[: HALF + 1].astype(np.uint32)
MIX = np.uint64(0x9E3779B97F4A7C15)


class JoinedTexts:
    """Some texts in one: `words`, and where each begins and stops. `starts`, `ends`: those of each run of digits."""

    def __init__(self, texts: Sequence[str]) -> None:
        data = "\0".join(texts).encode("utf-8", "replace")
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        self._continued = None
        if len(data) != lengths.sum() + len(texts) - 1:  # not ASCII alone: bytes of a character behind its first
            content = np.frombuffer(data, np.uint8)
            self._continued = np.concatenate([np.zeros(SPARE, np.int32), np.cumsum((content & 0xC0) == 0x80, dtype=np.int32)])
            lengths = np.fromiter((len(text.encode("utf-8", "replace")) for text in texts), np.int64, len(texts))
        self.words = Words(data)
        self.stops = np.cumsum(lengths + 1) - 1 + SPARE
        self.begins = self.stops - lengths
        self.starts, self.ends = self.words.runs_of_digits()

    def offsets(self, places: np.ndarray) -> np.ndarray:
        """(T + 1,) how many of some places, in order, are before each text, and how many there are."""
        return np.append(np.searchsorted(places, self.begins), len(places))

    def spans(self, starts: np.ndarray, ends: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """(N, 2) start and end in characters of the text. `counts`: (T,) how many are of each text."""
        spans, origin = np.stack([starts, ends], axis=1), self.begins
        if self._continued is not None:
            spans = spans - self._continued[np.clip(spans - 1, 0, len(self._continued) - 1)]
            origin = origin - self._continued[origin - 1]
        return spans - np.repeat(origin, counts)[:, None]


class Words:
    """The bytes of a text, and the eight bytes from each on as one number (the first byte is the lowest)."""

    def __init__(self, data: bytes) -> None:
        nothing = bytes(SPARE)
        self.data = nothing + data + nothing
        self.bytes = np.frombuffer(self.data, np.uint8)
        self.half_at = np.ndarray((len(self.data) - HALF + 1,), "<u4", self.data, strides=(1,))
        self.at = np.ndarray((len(self.data) - WORD + 1,), "<u8", self.data, strides=(1,))

    def runs_of_digits(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each run of digits starts and ends."""
        digits = (self.bytes - np.uint8(ord("0"))) < 10
        edges = np.flatnonzero(digits[1:] != digits[:-1]) + 1
        return edges[::2], edges[1::2]

    def after(self, places: np.ndarray, literal: str) -> np.ndarray:
        """Whether the literal begins at each place."""
        data = literal.encode()
        if len(data) <= FEW_BYTES:
            return self._bytes_fit(places, data)
        fits = self._word_fits(places, data[:WORD])
        for first in range(WORD, len(data), WORD):
            some = np.flatnonzero(fits)
            fits[some] = self._word_fits(places[some] + first, data[first : first + WORD])
        return fits

    def before(self, places: np.ndarray, literal: str) -> np.ndarray:
        """Whether the literal ends at each place. The last byte is looked at first, then the rest of it."""
        data = literal.encode()
        if len(data) <= FEW_BYTES:
            return self._bytes_fit(places - len(data), data)
        fits = self.bytes[places - 1] == data[-1]
        for last in range(len(data), 0, -WORD):
            some, piece = np.flatnonzero(fits), data[max(0, last - WORD) : last]
            fits[some] = self._word_fits(places[some] - (len(data) - last + len(piece)), piece)
        return fits

    def _bytes_fit(self, places: np.ndarray, data: bytes) -> np.ndarray:
        if not data:
            return np.ones(len(places), bool)
        fits = self.bytes[places] == data[0]
        return fits & (self.bytes[places + 1] == data[1]) if len(data) > 1 else fits

    def _word_fits(self, places: np.ndarray, data: bytes) -> np.ndarray:
        """Whether some bytes, at most a word, are at each place."""
        wanted = np.uint64(int.from_bytes(data, "little"))
        return (self.at[places] == wanted) if len(data) == WORD else (self.at[places] & MASKS[len(data)]) == wanted

    def numbers(self, ends: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The whole numbers of up to 8 digits that end at each place, int64: the digits are added by pairs, fours and eights."""
        if lengths.max(initial=0) <= HALF:
            halves = self.half_at[ends - HALF] & ~HALF_MASKS[HALF - lengths] & np.uint32(0x0F0F0F0F)
            halves = halves * np.uint32(10 * 256 + 1) >> np.uint32(8) & np.uint32(0x00FF00FF)
            return (halves * np.uint32(100 * 65536 + 1) >> np.uint32(16)).astype(np.int64)
        words = self.at[ends - WORD] & ~MASKS[WORD - lengths] & np.uint64(0x0F0F0F0F0F0F0F0F)
        words = words * np.uint64(10 * 256 + 1) >> np.uint64(8) & np.uint64(0x00FF00FF00FF00FF)
        words = words * np.uint64(100 * 65536 + 1) >> np.uint64(16) & np.uint64(0x0000FFFF0000FFFF)
        return (words * np.uint64(10000 * 4294967296 + 1) >> np.uint64(32)).view(np.int64)

    def texts(self, begins: np.ndarray, lengths: np.ndarray) -> list[str]:
        """Pieces of it."""
        ends = (begins + lengths).tolist()
        return [self.data[begin:end].decode("utf-8", "replace") for begin, end in zip(begins.tolist(), ends, strict=True)]


def distinct(words: Words, begins: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal pieces of text -> (which one each is, where one of each kind is among them)."""
    mixed = lengths.astype(np.uint64)
    for first in range(0, int(lengths.max(initial=0)), WORD):
        longer = lengths > first
        some = slice(None) if longer.all() else np.flatnonzero(longer)
        piece = words.at[begins[some] + first] & MASKS[np.minimum(lengths[some] - first, WORD)]
        mixed[some] = (mixed[some] ^ piece) * MIX
        mixed[some] ^= mixed[some] >> np.uint64(29)
    ids, examples = distinct_numbers(mixed)
    same = examples[ids]
    equal = (lengths == lengths[same]) & equal_pieces(words, begins, begins[same], lengths)
    if equal.all():
        return ids, examples
    texts = [words.data[begin : begin + length] for begin, length in zip(begins.tolist(), lengths.tolist(), strict=True)]
    kinds = {text: place for place, text in reversed(list(enumerate(texts)))}  # two texts mixed to one number
    order = {text: number for number, text in enumerate(kinds)}
    return np.array([order[text] for text in texts]), np.array(list(kinds.values()))


def equal_pieces(words: Words, begins: np.ndarray, others: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whether the text from each place is that from another place, for some length."""
    equal = np.ones(len(begins), bool)
    for first in range(0, int(lengths.max(initial=0)), WORD):
        some = slice(None) if first == 0 else np.flatnonzero(lengths > first)
        mask = MASKS[np.minimum(lengths[some] - first, WORD)]
        equal[some] &= (words.at[begins[some] + first] ^ words.at[others[some] + first]) & mask == 0
    return equal


def distinct_numbers(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of well mixed numbers: all that are alone in a bucket of the table without sorting."""
    table = np.full(1 << BUCKET_BITS, -1, np.int32)
    buckets = (numbers >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)
    table[buckets] = np.arange(len(numbers))
    others = np.flatnonzero(numbers[table[buckets]] != numbers)
    used = np.flatnonzero(table >= 0)
    examples = table[used]
    table[used] = np.arange(len(used))
    ids = table[buckets]
    if len(others):
        _, more, which = np.unique(numbers[others], return_index=True, return_inverse=True)
        ids[others] = len(used) + which
        examples = np.append(examples, others[more])
    return ids, examples
