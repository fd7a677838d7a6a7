"""Boxes whose label is not a class: dropped and counted by the numbers, and drawn by the report."""

from __future__ import annotations

import msgspec
import pytest
from evaluated import call, coco_of, metrics_of, write_json, write_rows

from groundswift import Located, format_answer
from groundswift.eval.evaluated_run import Run
from groundswift.eval.run_check import read_run

CAT = Located("cat", (100, 100, 500, 500))
OTHERS = [Located("unicorn", (0, 0, 250, 250)), Located("", (500, 500, 1000, 1000)), Located("unicorn", (700, 700, 700, 900))]


def scored(folder, objects, metric):
    truth = write_json(folder / "truth.json", coco_of((200, 100), [(1, 1, [20, 10, 80, 40])], [1, 2]))
    rows = [{"sample_id": n, "response": format_answer(found, "qwen2_vl"), "size_wh": [200, 100]} for n, found in ((1, objects), (2, []))]
    result = write_rows(folder / "result.jsonl", rows)
    call(metric, result, "--gt", truth, "--family", "qwen2_vl", "--out", folder / "out")
    return metrics_of(folder / "out"), read_run(folder / "out")


@pytest.mark.parametrize("metric", ["coco-map", "detection-f1"])
def test_boxes_of_unknown_labels_are_drawn_and_change_no_number(tmp_path, metric):
    (tmp_path / "plain").mkdir()
    plain, _ = scored(tmp_path / "plain", [CAT], metric)
    numbers, run = scored(tmp_path, [*OTHERS[:1], CAT, *OTHERS[1:]], metric)
    assert isinstance(run, Run)
    with_object, without = run.images
    assert [(box.label, box.outcome) for box in with_object.predicted] == [
        ("cat", "true_positive"),
        ("unicorn", "unknown_label"),
        ("", "unknown_label"),
    ], "a box without area is not drawn"
    assert with_object.predicted[1].box_xyxy_px == (0, 0, 50, 25)
    assert (with_object.f1, without.predicted) == (1.0, [])
    assert numbers["counts"]["unknown_labels"] == {"unicorn": 2}
    same = {key: value for key, value in numbers.items() if key not in ("counts", "run", "protocol")}
    assert same == {key: plain[key] for key in same}
    html = (tmp_path / "out" / "report.html").read_text()
    setup = msgspec.json.decode(html.split('id="setup">')[1].split("</script>")[0])
    assert setup["classes"] == ["cat", "unicorn", ""]
    assert setup["index"]["classes"][0] in ([1, 32 + 16, 64 + 16], [1, 64 + 16, 32 + 16])
