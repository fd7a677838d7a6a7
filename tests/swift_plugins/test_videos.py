"""A real video file through the real template, by the reader that the extra `video` installs."""

from __future__ import annotations

import pytest
from clips import write_clip

from groundswift.data_converters.rows.lint.video_readers import missing_reader
from groundswift.swift_plugins.tools.encoding import encoded


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("videos") / "clip.mp4"))


def test_this_environment_has_a_reader():
    assert missing_reader() is None


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_a_video_is_read(zoo, clip, kind):
    messages = [{"role": "user", "content": "<video>What happens?"}, {"role": "assistant", "content": "It gets lighter."}]
    template = zoo[kind]
    result = encoded(template, {"messages": messages, "videos": [clip]})
    video_tokens = result.input_ids.count(template.processor.video_token_id)
    assert video_tokens > 1
