#!/usr/bin/env bash
# FFmpeg's fflags=nobuffer, the usual option for cameras, drops the first frame of an MP4 file
#
# Versions    av 17.1.0, numpy 2.2.6
# Input       4 frames of MPEG-4 at 10 frames a second in an MP4 and in an MPEG-TS file, opened by PyAV with and without the option
# Expected    the same 4 frames: less latency at most
# Behaviour   in an MP4 decoding begins at the second frame, without a message; the MPEG-TS file has all 4. Code that opens cameras and files
#             alike loses a frame of each MP4.
source "$(dirname "$0")/_run.sh"
packages av==17.1.0 numpy==2.2.6
seen=$(observe <<'PYTHON'
import av
import numpy as np

for name in ("clip.mp4", "clip.ts"):
    with av.open(name, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 112, 84, "yuv420p"
        for grey in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((84, 112, 3), 60 * grey, np.uint8), format="rgb24")))
        container.mux(stream.encode())
    for options in ({}, {"fflags": "nobuffer"}):
        with av.open(name, options=options) as container:
            frames = [round(float(frame.to_ndarray(format="gray8").mean()) / 60) for frame in container.decode(video=0)]
        print(name, options, frames)
PYTHON
)
verdict "clip.mp4 {} [0, 1, 2, 3]
clip.mp4 {'fflags': 'nobuffer'} [1, 2, 3]
clip.ts {} [0, 1, 2, 3]
clip.ts {'fflags': 'nobuffer'} [0, 1, 2, 3]" "$seen"
