"""`groundswift lint` as a user runs it: output, exit status, hostile files, and what --fix writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from converted import run
from lint_rows import ABSENT, HEIGHT, TAGS, WIDTH, boxed, lint, objects, peak_kib, row, write_set
from PIL import Image

from groundswift.data_converters.rows import jsonl_lines
from groundswift.data_converters.rows.lint.checks_set import repeats

GROUNDSWIFT = [sys.executable, "-m", "groundswift.cli", "lint"]
EARLIER = b"an earlier file\n"


def document_of(*arguments: str) -> dict[str, Any]:
    """What `lint ... --json` prints."""
    return json.loads(run("lint", *arguments, "--json").stdout)


OUTSIDE = row(objects=objects([1, 2, 70, 40]))
CLEAN = row(sample_id=9)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (WIDTH, HEIGHT)).save("a.png")


def test_text():
    write_set([OUTSIDE, CLEAN, {**OUTSIDE, "sample_id": 2}])
    done = run("lint", "set.jsonl", "--examples", "1")
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout == (
        "error   box-outside  2 x box that extends beyond its image\n"
        "        Numbers below 0 or above the space are trained on. Fix: clip it (--fix).\n"
        "          set.jsonl:1 (sample_id 1): box 0 'dog' [1, 2, 70, 40] is 6 px right of its image; expected it within 64x48 px\n"
        "          ...\n"
        "\n"
        "info    no-negatives  1 x no row without objects\n"
        "        The model may find objects everywhere. Fix: add empty images, answer None.\n"
        "          set.jsonl: all 3 detection rows have objects; expected some without\n"
        "\n"
        "    boxes   share     rows  label\n"
        "        3 100.0 %        3  'dog'\n"
        "\n"
        "3 rows, 3 images, 3 boxes, 0 rows without objects (0.0 %): 2 errors, 0 warnings, 1 info\n"
    )
    write_set([OUTSIDE])
    done = run("lint", "set.jsonl")
    assert done.stdout.endswith("\n1 row, 1 image, 1 box, 0 rows without objects (0.0 %): 1 error, 0 warnings, 1 info\n")


def test_json():
    document = lint([{**OUTSIDE, "sample_id": "1"}, row("None", objects=None, sample_id="é")])
    assert {key: document[key] for key in ("files", "rows", "images", "boxes", "negatives", "counts", "fixed")} == {
        "files": ["set.jsonl"],
        "rows": 2,
        "images": 2,
        "boxes": 1,
        "negatives": 1,
        "counts": {"error": 1, "warning": 0, "info": 0},
        "fixed": None,
    }
    assert document["classes"] == [{"label": "dog", "boxes": 1, "rows": 1}]
    assert document["rules"]["box-outside"]["examples"][0]["sample_id"] == "1"


@pytest.mark.parametrize(
    ("rows", "options", "status"),
    [
        pytest.param([CLEAN], [], 0, id="clean"),
        pytest.param([OUTSIDE], [], 1, id="error"),
        pytest.param([OUTSIDE], ["--examples", "0"], 1, id="error, no examples"),
        pytest.param([row(" ")], ["--no-check-images"], 1, id="error and warning"),
        pytest.param([row(objects=objects([1, 2, 1, 4]))], [], 0, id="warning"),
        pytest.param([row(objects=objects([1, 2, 1, 4]))], ["--strict"], 1, id="warning, strict"),
        pytest.param([CLEAN], ["--strict"], 0, id="info, strict"),
        pytest.param([CLEAN], ["--limit", "0"], 2, id="limit"),
        pytest.param([CLEAN], ["--family", "nobody"], 2, id="family"),
        pytest.param([CLEAN], ["--max-length", "10"], 2, id="max-length without model"),
        pytest.param([CLEAN], ["--model", "folder"], 2, id="model without max-length"),
        pytest.param([CLEAN], ["--no-check-images", "--decode"], 2, id="decode without images"),
        pytest.param([CLEAN], ["--no-check-images", "--against", "set.jsonl"], 2, id="against without images"),
        pytest.param([CLEAN], ["--against", "nowhere.jsonl"], 2, id="against nothing"),
        pytest.param([CLEAN], ["nowhere.jsonl"], 2, id="no such file"),
        pytest.param([CLEAN], ["--fix", "set.jsonl"], 2, id="fix in place"),
        pytest.param([CLEAN], ["--fix", "./set.jsonl"], 2, id="fix in place by another path"),
        pytest.param([CLEAN], ["--fix", "out.jsonl", "--limit", "1"], 2, id="fix a part"),
        pytest.param([CLEAN], ["--fix", "out.jsonl", "a.png"], 2, id="fix two files"),
        pytest.param([CLEAN], ["--fix", "no/out.jsonl"], 1, id="fix to nowhere"),
    ],
)
def test_exit_status(rows, options, status):
    write_set(rows)
    before = sorted(os.listdir()), Path("set.jsonl").read_bytes()
    assert run("lint", "set.jsonl", *options).exit_code == status
    assert (sorted(os.listdir()), Path("set.jsonl").read_bytes()) == before


def test_several_files_and_limit():
    write_set([CLEAN, {**CLEAN, "sample_id": 2}], "one.jsonl")
    write_set([OUTSIDE, {**OUTSIDE, "sample_id": 9}], "two.jsonl")
    document = document_of("one.jsonl", "two.jsonl")
    assert document["rows"] == 4
    assert document["rules"]["sample-id-duplicate"]["examples"][0]["file"] == "two.jsonl"
    assert "one.jsonl:1" in document["rules"]["sample-id-duplicate"]["examples"][0]["what"]
    assert document_of("one.jsonl", "two.jsonl", "--limit", "3")["rows"] == 3
    assert document_of("one.jsonl", "two.jsonl", "--limit", "1")["rules"].keys() == {"no-negatives"}


@pytest.mark.process
def test_order_is_kept_over_many_rows(monkeypatch):
    count = 700
    monkeypatch.setattr(jsonl_lines, "BLOCK", 1 << 14)
    document = lint([row(sample_id=index, objects=objects([1, 2, 70, 40])) for index in range(count)], "--examples", str(count))
    assert [each["line"] for each in document["rules"]["box-outside"]["examples"]] == list(range(1, count + 1))


@cache
def hostile() -> dict[str, bytes]:
    whole = json.dumps(row()).encode()
    long = b"x" * 3_000_000
    return {
        "empty": b"",
        "byte order mark alone": b"\xef\xbb\xbf",
        "binary": bytes(range(256)) * 200,
        "UTF-16": whole.decode().encode("utf-16"),
        "a long line": json.dumps(row(note="x" * 3_000_000)).encode() + b"\n",
        "a long line of nothing": long + b"\n" + whole,
        "a long label": json.dumps(row(objects=objects([1, 2, 3, 4], refs=["<" * 1_000_000]))).encode(),
        "a long content": json.dumps(row(question="<image>" + "<" + " " * 200_000)).encode(),
        "tags over tags": json.dumps(row("<ref-object><bbox>" * 20_000)).encode(),
        "half a surrogate": b'{"a": "\\ud800"}\n',
        "half a surrogate and NaN": b'{"objects": {"ref": ["\\ud800"], "bbox": [[NaN, 1, 2, 3]]}}\n',
        "deep list": b"[" * 100_000 + b"]" * 100_000,
        "deep object": b'{"a":' * 100_000,
        "deep messages": b'{"messages": ' + b"[" * 900 + b"]" * 900 + b"}",
        "deep text of messages": b'{"messages": "' + b"[" * 100_000 + b'"}',
        "deep box": whole.replace(b"[[1,", b"[[" + b"[" * 300 + b"1" + b"]" * 300 + b","),
        "long number": whole.replace(b"[[1,", b"[[" + b"9" * 5000 + b","),
        "number beyond 64 bits": whole.replace(b"[[1,", b"[[" + b"9" * 30 + b","),
        "number beyond a float": whole.replace(b"[[1,", b"[[1e999,"),
        "id beyond 64 bits": whole.replace(b'"sample_id": 1', b'"sample_id": ' + b"9" * 400).replace(b"[[1,", b"[[99,"),
        "size beyond all": whole.replace(b"[64, 48]", b"[%d, %d]" % (10**30, 10**30)),
        "zero in a path": whole.replace(b"a.png", b"a\\u0000.png"),
        "escape sequences": whole.replace(b"dog", b"\\u001b[31mdog"),
    }


@pytest.mark.parametrize(
    "options", [[], ["--json", "--no-check-images", "--family", "qwen2_vl"], ["--fix", "out.jsonl"]], ids=["text", "json", "fix"]
)
@pytest.mark.parametrize("name", hostile())
def test_hostile_files(name, options):
    write_set([hostile()[name]])
    done = run("lint", "set.jsonl", "--workers", 1, *options)
    assert done.exit_code in (0, 1)
    assert "\x1b" not in done.stdout
    if options == ["--json", "--no-check-images", "--family", "qwen2_vl"]:
        assert json.loads(done.stdout)["files"] == ["set.jsonl"]
    if options[:1] == ["--fix"]:
        assert Path("out.jsonl").read_bytes() == hostile()[name] or "box clipped" in done.stdout


ODD = [None, 0, 1.5, True, "x", [], {}, [None], [[]], [{}], {"a": 1}, [0], ["x", 1], {"ref": 3, "bbox": 3}, {"bbox": {}}, {"bbox": [{}]}]
ODD += [{"bbox": [[]]}, {"bbox": [], "ref": {}}, *({"bbox": [[1, 2, 3, 4]], "bbox_type": x, "image_id": x} for x in (3, ["x"], [None]))]
ODD += [[{"role": None}], [{"content": "x"}], [{"role": "user"}], [{"role": "user", "content": [1]}]]
ODD += [[{"role": "user", "content": [{"type": "image", "image": 3}]}], [{"path": 3}], {"path": "\0"}, ["data:xx"], ["data:;base64,!!"]]
OLD = [{"query": 3}, {"query": "x", "response": []}, {"query": "x", "response": [3]}, {"query": "x", "history": [[1]]}, {"": ""}, {}]


def test_odd_values_everywhere():
    """Every column with every odd value, one row each: all are rows, and --fix gives back all that it does not fix."""
    rows = [{**row(), key: value} for key in ("messages", "images", "objects", "sample_id", "size_wh") for value in ODD] + OLD
    document = lint(rows, "--fix", "out.jsonl")
    assert document["rows"] == len(rows)
    assert len(Path("out.jsonl").read_bytes().splitlines()) == len(rows)


FOUR = [[1, 2, 30, 40], [5, 6, 7, 8], [1, 2, 1, 40], [5, 6, 7, 8]]
ASKED = "<image>Where is the <ref-object>?"


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        pytest.param(row(objects=objects([30, 40, 1, 2])), row(objects=objects([1, 2, 30, 40])), ["box-ordered"], id="order"),
        pytest.param(OUTSIDE, row(objects=objects([1, 2, 64, 40])), ["box-clipped"], id="clip"),
        pytest.param(
            row(objects=objects([0.5, -0.5, 1.5, 0.5], bbox_type="norm1")),
            row(objects=objects([0.5, 0, 1, 0.5], bbox_type="norm1")),
            ["box-clipped"],
            id="clip norm1",
        ),
        pytest.param(
            row("<ref-object><bbox><bbox>" * 2, objects=objects(*FOUR, refs="ab", image_id=[0, 0, 0, 0])),
            row("<ref-object><bbox><bbox><ref-object><bbox>", objects=objects(*FOUR[:2], FOUR[3], refs="ab", image_id=[0, 0, 0])),
            ["box-empty"],
            id="empty",
        ),
        pytest.param(
            row(TAGS * 3, objects=objects([1, 2, 3, 4], [1, 2, 3, 4], [5, 6, 9, 9], refs="aab")),
            boxed([1, 2, 3, 4], [5, 6, 9, 9], refs="ab"),
            ["box-duplicate"],
            id="duplicate with its label",
        ),
        pytest.param(boxed([70, 2, 80, 4], [5, 6, 9, 9], refs="ab"), boxed([5, 6, 9, 9], refs="b"), ["box-outside"], id="outside"),
        pytest.param(
            row("<bbox><bbox>", ASKED, objects=objects([1, 2, 3, 4], [5, 6, 5, 9], refs="a")),
            row("<bbox>", ASKED, objects=objects([1, 2, 3, 4], refs="a")),
            ["box-empty"],
            id="label in the question",
        ),
        pytest.param(row(size_wh=ABSENT), row(), ["size-set"], id="size_wh"),
    ],
)
def test_what_fix_changes(before, after, changes):
    document = lint([before, CLEAN], "--fix", "out.jsonl")
    first, second = Path("out.jsonl").read_bytes().splitlines(keepends=True)
    assert json.loads(first) == after
    assert second == json.dumps(CLEAN).encode() + b"\n"
    assert document["fixed"] == {"out": "out.jsonl", "rows": 1, "changes": dict.fromkeys(changes, 1)}
    again = document_of("out.jsonl")
    assert again["counts"]["error"] + again["counts"]["warning"] == 0


@pytest.mark.parametrize(
    ("before", "change"),
    [
        pytest.param(row(objects=objects([1, 2, 1, 40])), "row-kept", id="the only box"),
        pytest.param(row("A <ref-object><bbox> and <ref-object><bbox>.", objects=objects(*FOUR[1:3])), "box-kept", id="sentence"),
        pytest.param(row("<ref-object><bbox>", objects=objects(*FOUR[1:3])), "box-kept", id="counts differ"),
        pytest.param(row(objects=objects([1, 2, 70, 40], bbox_type="norm1000")), None, id="unknown bbox_type"),
        pytest.param(row(objects=objects([1, 2, 70, 40]), size_wh=[640, 480]), None, id="another file"),
        pytest.param(row(objects=objects([1, 2, "70", 40])), None, id="text"),
        pytest.param(row(objects="x"), None, id="old objects"),
        pytest.param(b'{"objects": NaN}\n', None, id="no JSON"),
        pytest.param(b"\xef\xbb\xbf" + json.dumps(CLEAN).encode() + b"\r\n\r\n", None, id="clean"),
    ],
)
def test_what_fix_leaves(before, change):
    document = lint([before], "--fix", "out.jsonl")
    assert Path("out.jsonl").read_bytes() == Path("set.jsonl").read_bytes()
    assert document["fixed"]["rows"] == 0
    assert list(document["fixed"]["changes"]) == ([change] if change else [])


@pytest.mark.parametrize(("stated", "changed"), [(None, False), ([WIDTH, HEIGHT], True), ([HEIGHT, WIDTH], False)])
def test_fix_and_an_exif_rotated_image(stated, changed):
    """Where it is not known in which orientation the boxes were drawn, they stay; so do those on the stored one."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save("rotated.jpg", exif=exif)
    lint([row(images=["rotated.jpg"], objects=objects([1, 2, 64.5, 30]), size_wh=stated)], "--fix", "out.jsonl")
    after = json.loads(Path("out.jsonl").read_bytes())
    assert after["size_wh"] == stated
    if stated is not None:
        assert after["objects"]["bbox"] == [[1, 2, 64 if changed else 48, 30]]


def test_fix_refuses_boxes_in_another_format():
    """To clip ratios or xywh boxes would make the damage permanent."""
    write_set([boxed(*([x, 40, 4, 5] for x in range(0, 48, 4)))])
    Path("out.jsonl").write_bytes(EARLIER)
    done = run("lint", "set.jsonl", "--fix", "out.jsonl")
    assert done.exit_code == 1
    assert "boxes-look-like-xywh" in done.stderr
    assert Path("out.jsonl").read_bytes() == EARLIER
    assert sorted(os.listdir()) == ["a.png", "out.jsonl", "set.jsonl"]


@pytest.mark.process
def test_tokens_through_the_real_template(tmp_path):
    """The embedded model's tokenizer, in a process of its own: swift is loaded there."""
    model = Path(__file__).resolve().parents[3] / "recipes" / "quickstart" / "model"
    one = {"sample_id": 1, "objects": objects([1, 2, 30, 40], bbox_type="real")}
    two = {"sample_id": 2, "objects": objects([1, 2, 30, 40], [5, 6, 7, 8], bbox_type="real")}
    refused = {"sample_id": 3, "objects": objects([1, 2, 30, 40], refs=["a <|box_start|>"])}
    old = {key: row()[key] for key in ("images", "objects", "size_wh")} | {"query": "<image>Find all.", "response": "<ref-object><bbox>"}
    write_set([row(**one), row("<ref-object><bbox>" * 2, **two), row(**refused), {**old, "sample_id": 4}])
    options = ["--max-length", "1", "--model", str(model), "--model-type", "qwen2_vl", "--examples", "9", "--json"]
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*GROUNDSWIFT, "set.jsonl", *options], capture_output=True, text=True, env=environment)
    assert done.returncode == 1, done.stderr
    rules = json.loads(done.stdout)["rules"]
    tokens = [int(each["what"].split()[0]) for each in rules["row-too-long"]["examples"]]
    image_tokens = 4  # 64 x 48 px become 56 x 56: 2 x 2 patches of 28
    assert tokens[1] > tokens[0] == tokens[2] > image_tokens
    assert [each["sample_id"] for each in rules["row-not-encodable"]["examples"]] == [3]
    assert "contains a token" in rules["row-not-encodable"]["examples"][0]["what"]


def test_repeats():
    import numpy as np

    assert repeats(np.array([5, 3, 5, 4, 3, 5])) == [(2, 0), (4, 1), (5, 0)]
    assert repeats(np.array([], np.int64)) == []


@pytest.mark.process
def test_memory_stays_bounded():
    """70,000 rows more of 700 bytes each cost less than half of their bytes at the peak."""
    line = json.dumps(row("None", objects={"ref": [], "bbox": []}, note="x" * 500)).encode()
    with open("set.jsonl", "wb") as out:
        for index in range(80_000):
            out.write(line.replace(b'"sample_id": 1', b'"sample_id": %d' % index) + b"\n")
    words = "groundswift.data_converters.rows.lint.cli", "lint", "set.jsonl", "--no-check-images", "--limit"
    few, many = (peak_kib(*words, limit) for limit in ("10000", "80000"))
    assert many - few < 20_000  # KiB
