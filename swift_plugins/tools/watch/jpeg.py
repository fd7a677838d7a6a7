"""An image as one JPEG. A large one is encoded in strips by several threads and joined by restart markers: the same pixels, sooner."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

MOST_PX = 65_500  # on a side
LARGE_PX = 1_000_000  # from here on, strips: below, a second thread costs as much as it saves
MOST_THREADS = 4
BLOCK_PX = 16  # width and height that one step of the scan covers, with chroma of half the size
SOF, SOS, DRI, RST, EOI = 0xC0, 0xDA, 0xDD, 0xD0, b"\xff\xd9"


def jpeg_of(pixels: np.ndarray, quality: int, threads: int | None = None) -> bytes:
    """(height, width, 3) uint8 RGB as JPEG with chroma of half the width and height. Raises ValueError for more than MOST_PX on a side.

    `threads`: None for one, or where the image is large for as many as there are idle CPUs.
    """
    height, width = pixels.shape[:2]
    if max(height, width) > MOST_PX:
        raise ValueError(f"{width}x{height} px; JPEG holds {MOST_PX:,}")
    try:
        from simplejpeg import encode_jpeg
    except ImportError:  # Pillow copies the pixels first
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=2)
        return buffer.getvalue()
    if threads is None:
        threads = free_cpus() if height * width >= LARGE_PX else 1
    rows = -(-height // strips_of(threads) // BLOCK_PX) * BLOCK_PX  # of a strip, px
    strips = [pixels[start : start + rows] for start in range(0, height, rows)]
    jpegs = shared_out(lambda strip: encode_jpeg(strip, quality, "RGB", "420"), strips)
    return joined(jpegs, height, rows // BLOCK_PX * -(-width // BLOCK_PX)) if len(strips) > 1 else jpegs[0]


def free_cpus() -> int:
    """The caller's CPU and those that are idle, up to MOST_THREADS: a thread that waits for a CPU would hold up the others."""
    cpus = os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1, min(cpus, MOST_THREADS, 1 + round(cpus - load)))


def strips_of(threads: int) -> int:
    """More than threads, so that one that must wait for a CPU holds up less."""
    return 1 if threads == 1 else 2 * threads


def shared_out(encode: Callable[[np.ndarray], bytes], strips: Sequence[np.ndarray]) -> list[bytes]:
    """The JPEG of each strip, in order. What no other thread has begun when the caller is free, the caller does."""
    others = [pool().submit(encode, strip) for strip in strips[1:]]
    found = [encode(strips[0])]
    mine = {number: encode(strips[number + 1]) for number in reversed(range(len(others))) if others[number].cancel()}
    return found + [mine[number] if number in mine else other.result() for number, other in enumerate(others)]


@cache
def pool() -> ThreadPoolExecutor:
    """Threads in addition to that of the caller."""
    return ThreadPoolExecutor(MOST_THREADS - 1, "jpeg")


def joined(jpegs: Sequence[bytes], height: int, interval: int) -> bytes:
    """Strips of equal width and tables as one JPEG. `interval`: blocks of the scan in each strip; the last one may have fewer."""
    header, _ = parts_of(jpegs[0])
    sof = dict(segments(header))[SOF]
    header[sof + 5 : sof + 7] = struct.pack("!H", height)
    sos = dict(segments(header))[SOS]
    header[sos:sos] = struct.pack("!BBHH", 0xFF, DRI, 4, interval)
    scans = [parts_of(jpeg)[1] for jpeg in jpegs]
    marked = [scan + bytes((0xFF, RST + number % 8)) for number, scan in enumerate(scans[:-1])]
    return b"".join((header, *marked, scans[-1], EOI))


def parts_of(jpeg: bytes) -> tuple[bytearray, bytes]:
    """(everything to the end of the header of the scan, the scan itself) of a JPEG with one scan."""
    sos = dict(segments(jpeg))[SOS]
    begins = sos + 2 + int.from_bytes(jpeg[sos + 2 : sos + 4], "big")
    return bytearray(jpeg[:begins]), jpeg[begins : -len(EOI)]


def segments(jpeg: bytes | bytearray) -> list[tuple[int, int]]:
    """(marker, offset) of the segments of a JPEG's header, up to the scan."""
    found, place = [], 2
    while not found or found[-1][0] != SOS:
        found.append((jpeg[place + 1], place))
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    return found
