"""An RTSP camera on this machine: plays an MPEG-4 clip at its speed to whoever asks, inside the RTSP connection, from the next key frame.

It can be unplugged, plugged in again, and fall silent while the connection stays.
"""

from __future__ import annotations

import socketserver
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from watch_server import Ending

CLOCK = 90_000  # ticks of RTP a second
CHUNK = 1400


class Link(socketserver.StreamRequestHandler):
    """One client: DESCRIBE, SETUP, PLAY, then packets until the clip, the camera or the client ends."""

    server: Any

    def handle(self) -> None:
        with suppress(OSError):
            while head := self.request_lines():
                method, number = head[0].split()[0], next(line for line in head if line.lower().startswith("cseq:"))
                self.reply(method, number)
                if method == "PLAY":
                    self.play()
                if method in ("PLAY", "TEARDOWN"):
                    return

    def request_lines(self) -> list[str]:
        lines: list[str] = []
        while (line := self.rfile.readline().decode().strip()) or not lines:
            if not line:
                return []
            lines.append(line)
        return lines

    def reply(self, method: str, number: str) -> None:
        camera = self.server.camera
        camera.methods.append(method)
        extra, body = {
            "OPTIONS": ("Public: DESCRIBE, SETUP, PLAY, TEARDOWN", ""),
            "DESCRIBE": ("Content-Type: application/sdp", camera.sdp),
            "SETUP": ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1", ""),
        }.get(method, ("Session: 1", ""))
        self.wfile.write(f"RTSP/1.0 200 OK\r\n{number}\r\n{extra}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    def play(self) -> None:
        camera, sequence, has_key = self.server.camera, 0, False
        for time_s, is_key, data in camera.packets:
            late = camera.now() - time_s
            has_key = has_key or (is_key and late <= 0)
            if not has_key:
                continue
            time.sleep(max(0.0, -late))
            while camera.is_silent:
                time.sleep(0.02)
            for start in range(0, len(data), CHUNK):
                is_last = start + CHUNK >= len(data)
                header = struct.pack("!BBHII", 0x80, 96 | (0x80 if is_last else 0), sequence & 0xFFFF, int(CLOCK * time_s), 7)
                payload = header + data[start : start + CHUNK]
                self.wfile.write(b"$\0" + struct.pack("!H", len(payload)) + payload)
                sequence += 1


class Links(Ending, socketserver.ThreadingTCPServer):
    """The camera's server."""


class RtspCamera:
    """A camera that plays a clip. `methods`: what clients asked for."""

    def __init__(self, clip: Path) -> None:
        with av.open(str(clip)) as container:
            stream = container.streams.video[0]
            self.packets = [
                (float(each.pts * each.time_base), each.is_keyframe, bytes(each)) for each in container.demux(stream) if each.size
            ]
            config = bytes(stream.codec_context.extradata).hex().upper()
        lines = ("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=clip", "c=IN IP4 127.0.0.1", "t=0 0", "m=video 0 RTP/AVP 96")
        form = (f"a=rtpmap:96 MP4V-ES/{CLOCK}", f"a=fmtp:96 profile-level-id=1;config={config}", "a=control:track1")
        self.sdp = "".join(f"{line}\r\n" for line in (*lines, *form))
        self.methods: list[str] = []
        self.is_silent, self.began = False, time.monotonic()
        self.links = self.linked(0)
        self.port = self.links.server_address[1]
        self.url = f"rtsp://user:word@127.0.0.1:{self.port}/live"

    def now(self) -> float:
        return time.monotonic() - self.began

    def unplug(self) -> None:
        self.links.end()

    def plug_in(self) -> None:
        self.links = self.linked(self.port)

    def linked(self, port: int) -> Links:
        links = Links(port, Link)
        links.camera = self
        return links

    def __enter__(self) -> RtspCamera:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_silent = False
        self.unplug()
