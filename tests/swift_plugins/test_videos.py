"""A real video file through the real template, by the reader that the extra `video` installs."""

from __future__ import annotations

import av
import numpy as np
import pytest

from groundswift.data_converters.lint.video_readers import missing_reader
from groundswift.swift_plugins.grounding.encoding import encoded

WIDTH, HEIGHT, FRAMES = 112, 84, 16


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    """4 s at 4 frames a second, each frame of one grey."""
    path = tmp_path_factory.mktemp("videos") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(FRAMES):
            grey = np.full((HEIGHT, WIDTH, 3), 10 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return str(path)


def test_this_environment_has_a_reader():
    assert missing_reader() is None


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_a_video_is_read(zoo, clip, kind):
    messages = [{"role": "user", "content": "<video>What happens?"}, {"role": "assistant", "content": "It gets lighter."}]
    template = zoo[kind]
    result = encoded(template, {"messages": messages, "videos": [clip]})
    video_tokens = result.input_ids.count(template.processor.video_token_id)
    assert video_tokens > 1
