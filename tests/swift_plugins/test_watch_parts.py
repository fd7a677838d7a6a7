"""The parts of `groundswift watch` that need no server: when an alarm begins, which frame is next, what an answer means."""

from __future__ import annotations

from io import BytesIO
from itertools import accumulate

import av
import numpy as np
import pytest
from clips import turn_clip, write_alarm_clip
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from groundswift.swift_plugins.tools.watch.alarms import AlarmRule
from groundswift.swift_plugins.tools.watch.frames import Encoder, Frame, Sampler, changed_share, thumbnail_of
from groundswift.swift_plugins.tools.watch.settings import Settings
from groundswift.swift_plugins.tools.watch.verdicts import judge_of
from groundswift.swift_plugins.tools.watch.waiting import Waiting
from groundswift.swift_plugins.tools.watch.webhook import append_line, read_alarms

WINDOWS = st.integers(1, 5).flatmap(lambda window: st.tuples(st.integers(1, window), st.just(window)))
VERDICTS = st.lists(st.booleans(), max_size=60)


def expected(verdicts: list[bool], needed: int, window: int) -> list[int]:
    """The frames that raise an alarm, by the definition."""
    found, is_on = [], False
    for number in range(len(verdicts)):
        last = verdicts[max(0, number + 1 - window) : number + 1]
        if not is_on and sum(last) >= needed:
            is_on = True
            found.append(number)
        is_on = is_on and any(last)
    return found


@given(WINDOWS, VERDICTS)
def test_an_alarm_begins_where_k_of_n_are_positive(rule, verdicts):
    alarms = AlarmRule(*rule)
    assert [frame for number, each in enumerate(verdicts) if (frame := alarms.add(number, each)) is not None] == expected(verdicts, *rule)


@given(WINDOWS, VERDICTS, st.randoms(use_true_random=False))
def test_in_whichever_order_verdicts_come_no_alarm_is_missing(rule, verdicts, rng):
    """Every stretch that is an alarm in the order of the frames has been raised by the end."""
    alarms, order = AlarmRule(*rule), list(range(len(verdicts)))
    rng.shuffle(order)
    raised = [frame for number in order if (frame := alarms.add(number, verdicts[number])) is not None]
    ends = [*expected(verdicts, *rule), len(verdicts)]
    for begins, next_one in zip(ends, ends[1:], strict=False):
        assert any(begins - rule[1] < frame < next_one for frame in raised), (begins, next_one, raised)


@pytest.mark.parametrize("window", [1, 3, 9])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_long_run_forgets_old_verdicts_and_nothing_else(window, share):
    verdicts = (np.random.default_rng(window).random(2000) < share).tolist()
    alarms = AlarmRule(1, window)
    found = [frame for number, each in enumerate(verdicts) if (frame := alarms.add(number, each)) is not None]
    assert found == expected(verdicts, 1, window)


def frame(number: int) -> Frame:
    return Frame(number, number / 10, 0.0, 0.0, b"", (4, 3), None)


def test_the_newest_frame_is_next_and_the_others_are_counted():
    waiting = Waiting(is_live=True, keep=10)
    for number in (1, 2, 3):
        waiting.put(frame(number))
    taken = waiting.take()
    waiting.settle(taken, is_away=False)
    assert (taken.number, waiting.counts()) == (3, {"dropped-model-slower": 2, "dropped-server-away": 0})


def test_frames_of_an_outage_come_in_turn_with_new_ones():
    waiting = Waiting(is_live=True, keep=10)
    waiting.put(frame(1))
    for number in (2, 3, 4):
        failed = waiting.take()
        waiting.put(frame(number))
        waiting.settle(failed, is_away=True)
    order = []
    for number in (5, 6, 7, 8):
        taken = waiting.take()
        waiting.settle(taken, is_away=False)
        order.append(taken.number)
        waiting.put(frame(number))
    assert order[0] == 4
    assert sorted(order) == [1, 2, 3, 4] or set(order) > {3, 4}
    assert waiting.dropped + len(order) + len(waiting.kept.frames) + 1 + len(waiting.passed.frames) == 8


def test_frames_of_a_failed_request_and_of_the_time_after_it_are_kept():
    waiting = Waiting(is_live=True, keep=10)
    waiting.put(frame(1))
    stalled = waiting.take()
    for number in (2, 3, 4):
        waiting.put(frame(number))
    waiting.settle(stalled, is_away=True)
    for number in (5, 6):
        waiting.put(frame(number))
    assert [each.number for each in waiting.kept.frames] == [1, 2, 3, 4, 5]
    assert waiting.take().number == 6
    assert waiting.counts() == {"dropped-model-slower": 0, "dropped-server-away": 0}


@given(st.integers(1, 12), st.integers(1, 400))
def test_what_is_kept_is_spread_over_the_outage(keep, count):
    waiting = Waiting(is_live=True, keep=keep)
    waiting.is_away = True
    for number in range(count + 1):
        waiting.put(frame(number))
    kept = [each.number for each in waiting.kept.frames]
    assert len(kept) <= keep
    assert len(kept) + waiting.kept.dropped == count
    gaps = {b - a for a, b in zip(kept, kept[1:], strict=False)}
    assert len(gaps) <= 1  # evenly
    assert kept[0] == 0


def test_a_sampler_takes_one_image_of_each_slot():
    sampler = Sampler(4)
    times = list(accumulate([0.0] + [0.1] * 20))
    assert [round(time, 1) for time in times if sampler.takes(time)] == [0.0, 0.3, 0.5, 0.8, 1.0, 1.3, 1.5, 1.8, 2.0]


def test_a_change_is_seen_and_noise_is_not():
    rng = np.random.default_rng(0)
    still = np.full((240, 320, 3), 120, np.uint8)
    noisy = (still + rng.integers(-8, 9, still.shape)).astype(np.uint8)
    moved = still.copy()
    moved[100:140, 100:140] = 200
    before, after, other = (thumbnail_of(image) for image in (still, noisy, moved))
    assert changed_share(before, after) == 0
    assert changed_share(before, other) == pytest.approx(1600 / 76800, rel=0.3)


def encoder(**more: object) -> Encoder:
    return Encoder(Settings(source=".", url="http://127.0.0.1:1/v1", question="?", out=".", **more))


def test_frames_of_a_phone_are_upright(tmp_path):
    """The red square is at (4, 20) to (44, 60) of the stored 112x84 px."""
    clip = turn_clip(write_alarm_clip(tmp_path / "phone.mp4", 0.2, 0, 1))
    with av.open(str(clip)) as container:
        stored = next(container.decode(video=0))
        image = encoder().pixels(stored).astype(int)
        assert encoder(max_side=56).frame(stored, 0).size_wh == (42, 56)
    assert image.shape == (112, 84, 3)
    rows, columns = np.nonzero((image[..., 0] > 150) & (image[..., 2] < 90))
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == pytest.approx((24, 4, 64, 44), abs=2)


def test_frames_are_reduced_to_their_longer_side():
    assert encoder(max_side=320).frame(Image.new("RGB", (640, 480)), 0).size_wh == (320, 240)
    assert encoder(max_side=1000).frame(Image.new("RGB", (640, 480)), 0).size_wh == (640, 480)


def test_one_encoder_takes_frames_of_any_size(tmp_path):
    """A camera that was opened again may have another size."""
    one = encoder()
    for width, colour in ((64, "red"), (98, "blue"), (64, "lime")):
        image = Image.new("RGB", (width, 50), colour)
        frame = one.frame(av.VideoFrame.from_image(image).reformat(format="yuv420p"), 0)
        shown = Image.open(BytesIO(frame.jpeg))
        assert shown.size == frame.size_wh == (width, 50)
        assert np.abs(np.asarray(shown).astype(int) - np.asarray(image)).max() <= 4


def judge(**more: object):
    given = {"source": ".", "url": "http://127.0.0.1:1/v1", "question": "A. good B. bad", "out": "."} | more
    return judge_of(Settings(**given))


@pytest.mark.parametrize(
    ("rule", "text", "is_alarm"),
    [
        ({}, "Yes, a tip is missing", True),
        ({}, "**No**.", False),
        ({}, "No, there is nothing to say yes to", False),
        ({}, "Perhaps", None),
        ({}, "", None),
        ({}, "<think>yes?</think>no", False),
        ({"alarm_on": "B", "choices": "A,B"}, "B", True),
        ({"alarm_on": "B", "choices": "A,B"}, "The answer is A.", False),
        ({"alarm_on": "B", "choices": "A,B"}, "bad", True),
        ({"alarm_on": "B", "choices": "A,B"}, "A or B", None),
        ({"alarm_on": "\u662f", "choices": "\u662f,\u5426"}, "\u662f\uff0c\u6709\u5f02\u5e38", True),
        ({"alarm_on": "\u662f", "choices": "\u662f,\u5426"}, "\u5426\u3002", False),
        ({"alarm_on": "\u662f", "choices": "\u662f,\u5426"}, "\u4e0d\u662f", None),
        ({}, "Nothing, no", False),
        ({"alarm_on": "text:spilled liquid"}, "There is Spilled liquid.", True),
        ({"alarm_on": "text:spill"}, "spilled", False),
        ({"alarm_on": "text:spill"}, " ", None),
    ],
)
def test_a_text_is_read_by_the_declared_rule(rule, text, is_alarm):
    found = judge(**rule)(text, False, (100, 100))
    assert found.is_alarm is is_alarm
    assert found.problem == ("answer-undecided" if is_alarm is None else "")


BOX = "<|object_ref_start|>{}<|object_ref_end|><|box_start|>(100,200),(500,600)<|box_end|>"


@pytest.mark.parametrize(
    ("rule", "text", "is_cut", "is_alarm"),
    [
        ("box", BOX.format("cat"), False, True),
        ("box:dog", BOX.format("cat"), False, False),
        ("box:Cat,dog", BOX.format("cat"), False, True),
        ("box:cat", BOX.format("cat") + "<|object_ref_start|>c", True, True),
        ("box:dog", BOX.format("cat") + "<|object_ref_start|>c", True, None),
        ("box", "None", False, False),
        ("box", "I cannot see it", False, None),
    ],
)
def test_boxes_are_found_by_the_familys_grammar(rule, text, is_cut, is_alarm):
    found = judge(alarm_on=rule, family="qwen2_vl")(text, is_cut, (200, 100))
    assert found.is_alarm is is_alarm
    if "cat" in text:
        assert found.boxes[0] == ("cat", pytest.approx((20, 20, 100, 60), abs=0.2))


def test_half_a_line_that_a_kill_left_spoils_no_other(tmp_path):
    path = tmp_path / "alarms.jsonl"
    append_line(path, {"id": "1"})
    with path.open("ab") as file:
        file.write(b'{"id": "2", "ans')
    append_line(path, {"id": "3"})
    assert [alarm["id"] for alarm in read_alarms(path)] == ["1", "3"]
