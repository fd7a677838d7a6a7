#!/usr/bin/env bash
# qwen-vl-utils 0.0.14 falls back on a torchvision function that torchvision 0.29 no longer has
#
# Versions    qwen-vl-utils 0.0.14, torchvision 0.29.1, torch 2.14.1, av 17.1.0
# Input       a valid MPEG-4 clip of 16 frames, 96x64 px, made here
# Expected    a decoded clip, or at import a message that no video reader is installed
# Behaviour   without decord and torchcodec, fetch_video takes torchvision, catches that torchvision.io has no read_video, and calls
#             torchvision again: AttributeError.
source "$(dirname "$0")/_run.sh"
packages qwen-vl-utils==0.0.14 torch==2.14.1 torchvision==0.29.1 av==17.1.0 numpy==2.2.6
seen=$(observe <<'PYTHON'
import av
import numpy as np
from qwen_vl_utils import vision_process

with av.open("clip.mp4", "w") as container:
    stream = container.add_stream("mpeg4", rate=4)
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    for index in range(16):
        frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), index * 10, np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
print(vision_process.get_video_reader_backend())
try:
    print(tuple(vision_process.fetch_video({"video": "clip.mp4"}).shape))
except AttributeError as error:
    print("AttributeError:", error)
PYTHON
)
verdict "torchvision
AttributeError: module 'torchvision.io' has no attribute 'read_video'" "$seen"
