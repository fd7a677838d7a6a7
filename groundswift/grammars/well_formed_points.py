"""The well-formed ones of many answers in tags of points (`tags.py`), found with array operations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from .byte_words import JoinedTexts, distinct, equal_pieces
from .well_formed import LONGEST_LABEL, LONGEST_NUMBER, TENS, Part, nothing_found

ONE, SEVERAL, NEXT, LAST = '<point x="', "<points x", '" x', '" alt="'
COORDS = '<points coords="'
CLOSING = "</point>", "</points>"
RUNS_OF_A_POINT = 6  # of digits: number, x, its fraction, number, y, its fraction
PLAIN_ALT, PLAIN_CONTENT = re.compile(r'[^"<>&\x00]+'), re.compile(r"(?!\s)[^<>&\x00]+(?<!\s)")


def well_formed_points(texts: Sequence[str], limit: float | None, units: int | None) -> Part:
    """The points of the texts that are nothing but tags with labels, a line each. `units` of a side: those of Molmo 2, None: Molmo."""
    scan = _Attributes(texts) if units is None else _Coords(texts, units)
    if not scan.find_tags():
        return nothing_found(len(texts))
    scan.read_points(limit)
    scan.read_labels()
    return scan.part(limit)


class _Tags:
    """One pass over some texts. `runs`: the first run of digits of each tag; `tag`: the tag of each point; what is refused is in `bad`."""

    plain: re.Pattern[str]
    counts: np.ndarray  # points of each tag
    xy: np.ndarray

    def __init__(self, texts: Sequence[str]) -> None:
        self.joined = JoinedTexts(texts, more=RUNS_OF_A_POINT)  # so that no tag ends too early
        self.words, self.digits = self.joined.words, self.joined.runs
        self.starts, self.ends = self.digits.starts, self.digits.ends

    def place_tags(self, begins: np.ndarray) -> None:
        """Where each tag begins and ends, the labels still unread: each is a line of its text."""
        joined, words = self.joined, self.words
        self.begins, self.offsets = begins, joined.offsets(begins)
        self.bad = words.bytes[begins - 1] != ord("\n")
        some = np.flatnonzero(np.diff(self.offsets))
        self.stops = np.append(begins[1:] - 1, 0)
        first, last = self.offsets[some], self.offsets[some + 1] - 1
        self.bad[first] = begins[first] != joined.begins[some]
        self.stops[last] = joined.stops[some]

    def refuse(self, points: np.ndarray) -> None:
        """Refuse the tags of some points (P,)."""
        if points.any():
            self.bad |= np.bincount(self.tag[points], minlength=len(self.bad)) > 0

    def take_labels(self, begins: np.ndarray, lengths: np.ndarray) -> None:
        """The labels of the tags, which must be plain."""
        self.bad |= (lengths < 1) | (lengths > LONGEST_LABEL)
        lengths = np.clip(lengths, 0, LONGEST_LABEL)
        ids, examples = distinct(self.words, begins, lengths)
        self.label_names = self.words.texts(begins[examples], lengths[examples])
        plain = np.array([self.plain.fullmatch(name) is not None for name in self.label_names], bool)
        self.bad |= ~plain[ids]
        self.label_ids = ids[self.tag]

    def part(self, limit: float | None) -> Part:
        """What is well-formed of all this: points in the space; those that look like ratios get their parse warning."""
        x, y = self.xy.T
        high = np.maximum(x, y)
        self.refuse(high > (np.inf if limit is None else limit))
        good = np.diff(self.offsets) > 0
        good[np.searchsorted(self.offsets, np.flatnonzero(self.bad), side="right") - 1] = False
        offsets = np.append(0, np.cumsum(self.counts))[self.offsets]
        low = np.flatnonzero(high <= 1) if limit is None or limit > 1 else np.zeros(0, np.int64)
        ratios = low[(self.xy[low] != np.floor(self.xy[low])).any(axis=1)]
        texts = Counter((np.searchsorted(offsets, ratios, side="right") - 1).tolist())
        reasons = {text: ["number-like-ratio"] * count for text, count in texts.items() if good[text]}
        spans = self.joined.spans(self.begins[self.tag], self.stops[self.tag], np.diff(offsets))
        boxes = np.broadcast_to(np.nan, (len(self.xy), 4))
        return Part(good, offsets, boxes, self.label_ids, self.label_names, spans, self.xy, reasons)


class _Attributes(_Tags):
    """`<point x="1.0" y="2.0" alt="cat">cat</point>` and `<points x1="1.0" y1="2.0" x2="3.0" y2="4.0" alt="cat">cat</points>`."""

    plain = PLAIN_ALT

    def find_tags(self) -> bool:
        """Find the points; whether there are any."""
        digits = self.digits
        one, several = digits.behind(ONE), digits.behind(SEVERAL)
        self.runs = np.flatnonzero(one | several | digits.behind(NEXT))
        self.one = one[self.runs]
        heads = self.one | several[self.runs]
        if not heads.any():
            return False
        before = int(heads.argmax())  # points without a tag, at the start of all
        self.runs, self.one, heads = self.runs[before:], self.one[before:], heads[before:]
        self.heads, self.tag = np.flatnonzero(heads), np.cumsum(heads) - 1
        self.counts = np.diff(np.append(self.heads, len(heads)))
        self.single = self.one[self.heads]
        opening = np.where(self.single, len(ONE), len(SEVERAL))
        self.place_tags(self.starts[self.runs[self.heads]] - opening)
        return True

    def read_points(self, limit: float | None) -> None:
        """The points, and whether what is around their numbers is right."""
        digits, numbers = self.digits, self.digits.numbers()
        dots, between = digits.follows("."), digits.follows('" y="')
        several = np.flatnonzero(~self.one)
        numbered = (~self.one).astype(np.int64)  # numbers of the point before x and y each
        x = self.runs + numbered
        y = x + 2 + numbered
        wrong = ~(dots[x + 1] & dots[y + 1] & (between[x + 2] | ~self.one))
        if len(several):
            runs = self.runs[several]
            place = several - self.heads[self.tag[several]] + 1
            size = np.floor(np.log10(place)).astype(np.int64) + 1
            fits = digits.follow_at(runs + 3, '" y')
            for run in (runs, runs + 3):
                fits &= (numbers[run] == place) & (digits.lengths[run] == size) & digits.follow_at(run + 1, '="')
            wrong[several] |= ~fits
        self.last = y + 1
        joined = np.flatnonzero(np.diff(self.tag) == 0)  # points with another one of their tag behind them
        wrong[joined] |= self.starts[self.runs[joined + 1]] - self.ends[self.last[joined]] != len(NEXT)
        if digits.longest > LONGEST_NUMBER:
            wrong |= (digits.lengths[np.stack([x, x + 1, y, y + 1])] > LONGEST_NUMBER).any(axis=0)
        columns = []
        for run in (x, y):
            scale = TENS.take(digits.lengths[run + 1], mode="clip")
            columns.append((numbers[run] * scale + numbers[run + 1]) / scale)
        self.xy = np.stack(columns, axis=1)
        self.refuse(wrong)

    def read_labels(self) -> None:
        """The labels, which are said twice."""
        last = self.ends[self.last[self.heads + self.counts - 1]]
        self.bad |= ~self.words.after(last, LAST)
        closed, several = self.words.before(self.stops, CLOSING[0]), np.flatnonzero(~self.single)
        closed[several] = self.words.before(self.stops[several], CLOSING[1])
        begins = last + len(LAST)
        room = self.stops - begins - (len(CLOSING[0]) + 2)
        room[several] -= len(CLOSING[1]) - len(CLOSING[0])
        lengths = room >> 1
        self.bad |= ~closed | (room & 1 > 0) | (lengths < 1) | (lengths > LONGEST_LABEL)
        lengths = np.clip(lengths, 0, LONGEST_LABEL)
        again = begins + lengths + 2
        self.bad |= ~(self.words.after(again - 2, '">') & equal_pieces(self.words, begins, again, lengths))
        self.take_labels(begins, lengths)


class _Coords(_Tags):
    """`<points coords="1 1 073 160 2 455 300">cat</points>`."""

    plain = PLAIN_CONTENT

    def __init__(self, texts: Sequence[str], units: int) -> None:
        super().__init__(texts)
        self.units = units

    def find_tags(self) -> bool:
        """Find the tags, and how many points each has; whether there are any."""
        starts, ends, words = self.starts, self.ends, self.words
        self.runs = np.flatnonzero(self.digits.behind(COORDS))
        if not len(self.runs):
            return False
        breaks = np.flatnonzero(~self.digits.follows(" ")[1:])
        self.last = breaks[np.searchsorted(breaks, self.runs)]
        numbers = self.last - self.runs
        self.place_tags(starts[self.runs] - len(COORDS))
        self.bad |= (numbers % 3 > 0) | (numbers < 1) | (ends[self.runs] - starts[self.runs] != 1)
        self.bad |= words.bytes[starts[self.runs]] != ord("1")  # the only image
        self.counts = numbers // 3
        self.tag = np.repeat(np.arange(len(self.runs)), self.counts)
        return True

    def read_points(self, limit: float | None) -> None:
        """The points, in the units of the space."""
        place = np.arange(len(self.tag)) - np.repeat(np.cumsum(self.counts) - self.counts, self.counts)
        x = self.runs[self.tag] + 2 + 3 * place
        places = np.stack([x, x + 1], axis=1)
        self.xy = self.digits.numbers()[places].astype(np.float64)
        if limit is not None and limit != self.units:
            self.xy = self.xy * limit / self.units
        if self.digits.longest > LONGEST_NUMBER:
            self.refuse((self.digits.lengths[places] > LONGEST_NUMBER).any(axis=1))

    def read_labels(self) -> None:
        """The labels, which are what the tags hold."""
        ends = self.ends[self.last]
        self.bad |= ~(self.words.after(ends, '">') & self.words.before(self.stops, CLOSING[1]))
        begins = ends + 2
        self.take_labels(begins, self.stops - len(CLOSING[1]) - begins)
