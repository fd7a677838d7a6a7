"""A small video file for tests."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, FRAMES = 112, 84, 16


def write_clip(path: Path) -> Path:
    """4 s at 4 frames a second, each frame of one grey."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(FRAMES):
            grey = np.full((HEIGHT, WIDTH, 3), 10 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_alarm_clip(path: Path, seconds: float, red_from: float, red_to: float, rate: int = 10) -> Path:
    """A grey clip with a square that moves and is blue, but red from one second to another."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(round(seconds * rate)):
            image = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
            left = 4 + index % 60
            image[20:60, left : left + 40] = (220, 0, 0) if red_from <= index / rate < red_to else (0, 0, 220)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def turn_clip(path: Path) -> Path:
    """Give an MP4 the display matrix of a phone held upright: its frames are to be turned clockwise by a quarter."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # behind version and flags, times, id, duration, layer, volume: the matrix, 9 numbers
    one, minus, zero = (1 << 16).to_bytes(4, "big"), (-(1 << 16)).to_bytes(4, "big", signed=True), bytes(4)
    data[place : place + 20] = zero + one + zero + minus + zero
    data[place + 24 : place + 28] = (HEIGHT << 16).to_bytes(4, "big")
    path.write_bytes(data)
    return path
