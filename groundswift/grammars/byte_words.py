"""Text as bytes, eight at a time: literals, numbers and labels at many places compared with array operations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SPARE = 1024  # bytes of nothing before and behind the text, so that no place is out of reach
WORD, HALF = 8, 4  # bytes
BUCKET_BITS = 14  # of a table that finds equal numbers
FEW_BYTES = 2  # of a literal that is compared byte by byte
MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD + 1)], np.uint64)  # the first bytes of a word
ADDED = [  # neighbours of two digits, then of pairs, then of fours: mask, factor, shift
    tuple(map(np.uint64, step))
    for step in (
        (0x0F0F0F0F0F0F0F0F, 10 * 256 + 1, 8),
        (0x00FF00FF00FF00FF, 100 * 65536 + 1, 16),
        (0x0000FFFF0000FFFF, 10000 * 4294967296 + 1, 32),
    )
]
MIX = np.uint64(0x9E3779B97F4A7C15)


class JoinedTexts:
    """Some texts in one: `words`, where each begins and stops, and their `runs` of digits with `more` empty ones behind them."""

    def __init__(self, texts: Sequence[str], more: int = 0) -> None:
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
        self.runs = DigitRuns(self.words, more)

    def offsets(self, places: np.ndarray) -> np.ndarray:
        """(T + 1,) how many of some places, in order, are before each text, and how many there are."""
        return np.append(np.searchsorted(places, self.begins), len(places))

    def spans(self, starts: np.ndarray, ends: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """(N, 2) start and end in characters of the text. `counts`: (T,) how many are of each text."""
        spans, origin = np.stack([starts, ends], axis=1), self.begins
        if self._continued is not None:
            spans = spans - self._continued[np.clip(spans - 1, 0, len(self._continued) - 1)]
            origin = origin - self._continued[origin - 1]
        spans -= np.repeat(origin, counts)[:, None]
        return spans


class Words:
    """The bytes of a text, and eight of them as one number (the first byte is the lowest)."""

    def __init__(self, data: bytes) -> None:
        nothing = bytes(SPARE)
        self.data = nothing + data + nothing
        self.bytes = np.frombuffer(self.data, np.uint8)

    def at(self, places: np.ndarray, count: int = 1) -> np.ndarray:
        """(N, count) words from each place on. NumPy takes as long for four as for one."""
        size = count * WORD
        pieces = np.ndarray((len(self.data) - size + 1,), f"V{size}", self.data, strides=(1,))
        return pieces[places].view("<u8").reshape(len(places), count)

    def after(self, places: np.ndarray, literal: str) -> np.ndarray:
        """Whether the literal begins at each place."""
        return self.is_at(places, literal.encode())

    def before(self, places: np.ndarray, literal: str) -> np.ndarray:
        """Whether the literal ends at each place."""
        data = literal.encode()
        return self.is_at(places - len(data), data)

    def is_at(self, places: np.ndarray, data: bytes) -> np.ndarray:
        """Whether some bytes are at each place."""
        if len(data) <= FEW_BYTES:
            fits = np.ones(len(places), bool)
            for index, byte in enumerate(data):
                fits &= self.bytes[places + index if index else places] == byte
            return fits
        wanted = np.frombuffer(data + bytes(-len(data) % WORD), "<u8")
        found = self.at(places, len(wanted))
        fits = (found[:, -1] & MASKS[len(data) - WORD * (len(wanted) - 1)]) == wanted[-1]
        for index, word in enumerate(wanted[:-1]):
            fits &= found[:, index] == word
        return fits

    def texts(self, begins: np.ndarray, lengths: np.ndarray) -> list[str]:
        """Pieces of it."""
        ends = (begins + lengths).tolist()
        return [self.data[begin:end].decode("utf-8", "replace") for begin, end in zip(begins.tolist(), ends, strict=True)]


class DigitRuns:
    """The runs of digits of a text, R in all: where each starts and ends, its length, and its `gaps` to the one before (0: the first).

    `more`: so many of no digits follow, right behind the text. All columns, so that neighbours are compared without looking them up.
    """

    def __init__(self, words: Words, more: int = 0) -> None:
        digits = (words.bytes - np.uint8(ord("0"))) < 10
        edges = np.flatnonzero(digits[1:] != digits[:-1])
        if more:
            edges = np.append(edges, np.full(2 * more, len(words.bytes) - SPARE))
        self.words, self.starts, self.ends = words, edges[::2] + 1, edges[1::2] + 1
        self.lengths = self.ends - self.starts
        self.longest = int(self.lengths.max(initial=0))
        self.gaps = np.zeros_like(self.starts)
        np.subtract(self.starts[1:], self.ends[:-1], out=self.gaps[1:])
        self._before, self._digits = words.at(self.starts - WORD, 2).T
        self._behind: dict[str, np.ndarray] = {}
        self._follows: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.starts)

    def behind(self, literal: str) -> np.ndarray:
        """(R,) whether each is right behind the literal."""
        if literal not in self._behind:
            data = literal.encode()
            rest, last = data[:-WORD], data[-WORD:]
            shift = np.uint64(8 * (WORD - len(last)))
            fits = (self._before >> shift if shift else self._before) == np.uint64(int.from_bytes(last, "little"))
            if rest:
                some = np.flatnonzero(fits)
                fits[some] = self.words.is_at(self.starts[some] - len(data), rest)
            self._behind[literal] = fits
        return self._behind[literal]

    def follows(self, separator: str) -> np.ndarray:
        """(R,) whether the separator, and nothing else, is between each and the one before."""
        if separator not in self._follows:
            self._follows[separator] = self.behind(separator) & (self.gaps == len(separator))
        return self._follows[separator]

    def follow_at(self, runs: np.ndarray, separator: str) -> np.ndarray:
        """The same for some of them."""
        return (self.gaps[runs] == len(separator)) & self.words.before(self.starts[runs], separator)

    def numbers(self) -> np.ndarray:
        """(R,) what they say, int64; of more than 8 digits the first 8. Digits are added by pairs, fours and eights."""
        words = self._digits << (8 * (WORD - np.minimum(self.lengths, WORD))).view(np.uint64)  # the last digit is the highest byte
        if self.longest <= HALF:
            words >>= np.uint64(8 * HALF)
        for mask, factor, shift in ADDED[: 2 if self.longest <= HALF else 3]:
            words &= mask
            words *= factor
            words >>= shift
        if self.longest <= HALF:
            words &= ADDED[2][0]
        return words.view(np.int64)


def distinct(words: Words, begins: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal pieces of text -> (which one each is, where one of each kind is among them)."""
    mixed, pieces = lengths.astype(np.uint64), []
    for first in range(0, int(lengths.max(initial=0)), WORD):
        longer = lengths > first
        some = slice(None) if longer.all() else np.flatnonzero(longer)
        piece = words.at(begins[some] + first)[:, 0] & MASKS[np.minimum(lengths[some] - first, WORD)]
        mixed[some] = (mixed[some] ^ piece) * MIX
        mixed[some] ^= mixed[some] >> np.uint64(29)
        pieces.append((some, piece))
    ids, examples = distinct_numbers(mixed)
    same = examples[ids]
    equal = lengths == lengths[same]
    for some, piece in pieces:
        of_all = piece
        if not isinstance(some, slice):
            of_all = np.zeros(len(lengths), np.uint64)
            of_all[some] = piece
        equal[some] &= piece == of_all[same[some]]
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
        equal[some] &= (words.at(begins[some] + first)[:, 0] ^ words.at(others[some] + first)[:, 0]) & mask == 0
    return equal


def distinct_numbers(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of well mixed numbers: all that are alone in a bucket of the table without sorting."""
    table = np.full(1 << BUCKET_BITS, -1)
    buckets = (numbers >> np.uint64(64 - BUCKET_BITS)).view(np.int64)
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
