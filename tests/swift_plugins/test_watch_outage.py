"""A minute without a server, as it is: no frame and no alarm is lost."""

from __future__ import annotations

import json
import threading

import pytest
from clips import write_alarm_clip
from watch_server import RedServer, Webhook

from groundswift.swift_plugins.tools.watch.monitor import Monitor
from groundswift.swift_plugins.tools.watch.settings import Settings

OUTAGE_S = 60.0


@pytest.mark.long
def test_no_alarm_is_lost_when_the_server_is_dead_for_a_minute(tmp_path):
    """The square is red for 0.6 s of the outage, 3 frames at 5 a second; all options but the rate are the defaults."""
    clip = write_alarm_clip(tmp_path / "clip.mp4", 70, 20, 20.6)
    with RedServer() as server, Webhook() as hook:
        given = {
            "source": str(clip),
            "url": server.url,
            "question": "Is the square red?",
            "out": str(tmp_path / "out"),
            "webhook": hook.url,
        }
        monitor = Monitor(Settings(**given, pace="live", fps=5.0).check())

        def act() -> None:
            while monitor.encoder.count < 10 and not monitor.stop.wait(0.02):
                pass
            server.die()
            monitor.stop.wait(OUTAGE_S)
            server.revive()

        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        monitor.run()
        thread.join(60)
        assert monitor.outbox.drain(10) == 0
    found = monitor.document()
    rows = [json.loads(line) for line in (tmp_path / "out" / "verdicts.jsonl").read_text().splitlines()]
    assert found["counts"]["server-unreachable"] >= 20
    assert sorted(row["frame"] for row in rows) == list(range(1, 351))
    assert [row["frame"] for row in sorted(rows, key=lambda row: row["frame"]) if row["verdict"] == "alarm"] == [101, 102, 103]
    assert len(hook.got) == 1
    assert 20 <= hook.got[0]["time_s"] < 20.6
