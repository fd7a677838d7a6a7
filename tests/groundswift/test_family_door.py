"""A family of another package: a distribution with an entry point, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process


PLUGIN = """
from groundswift.answers import Answer, Located
from groundswift.family import Family


class Plain:
    whole_answer = True

    def write_label(self, label):
        return label

    def write_box(self, coordinates):
        return " ".join(f"{number:g}" for number in coordinates)

    def format(self, objects):
        return "; ".join(f"{each.label} {self.write_box(each.box)}" for each in objects)

    def parse(self, text, limit):
        label, *numbers = text.split()
        return Answer([Located(label, tuple(map(int, numbers)))], "ok", [])


ROW = Family("acme_vl", Plain(), "norm1000", ("acme_vl",), (), "acme", resize_factor=28, min_pixels=3136, max_pixels=12845056)
BORROWED = Family("acme_qwen", "qwen2_tokens", "norm1000", (), (), "acme")
TAKEN = Family("qwen2_vl", "qwen2_tokens", "norm1000", (), (), "acme")
TEMPLATE = Family("acme_t", "qwen2_tokens", "norm1000", (), ("qwen2_vl",), "acme")
MODEL = Family("acme_m", "qwen2_tokens", "norm1000", ("acme_vl", "glm4v"), (), "acme")
SPACE = Family("acme_s", "qwen2_tokens", "norm7", (), (), "acme")
RESIZED = Family("acme_r", "qwen2_tokens", "resized_px", (), (), "acme")
GRAMMAR = Family("bad", "cuneiform", "norm1000", (), (), "acme")
OTHER = "a text"
"""
LETTERS = """
from groundswift.family import Family
ROW = Family("acme_l", "qwen2_tokens", "norm1000", ("acme"), (), "acme")
"""
USED = """
from groundswift import Located, families, format_answer, parse, resized_wh
text = format_answer([Located("dog", (1, 2, 3, 4))], "acme_vl")
print(text, parse(text, "acme_vl").objects[0].box, resized_wh((600, 400), "acme_vl"), "acme_vl" in families())
print(format_answer([Located("dog", (1, 2, 3, 4))], "acme_qwen"))
"""


@pytest.fixture
def python(tmp_path):
    """Runs Python with a distribution `acme` whose entry points are given."""

    def run(entries: str, *words: str) -> subprocess.CompletedProcess:
        info = tmp_path / "site" / "acme-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info.parent / "acme_families.py").write_text(PLUGIN)
        (info.parent / "acme_letters.py").write_text(LETTERS)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[groundswift.families]\n" + entries)
        start = f"import sys; sys.path.insert(0, {str(info.parent)!r})\n"
        code = start + (words[0] if len(words) == 1 else f"sys.argv = {list(words)!r}\nfrom groundswift.cli import main; main()")
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3])

    return run


def test_a_family_from_outside_is_written_and_parsed(python):
    done = python("acme_vl = acme_families:ROW\nacme_qwen = acme_families:BORROWED\n", USED)
    assert done.stdout.splitlines() == [
        "dog 1 2 3 4 (1, 2, 3, 4) (588, 392) True",
        "<|object_ref_start|>dog<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>",
    ], done.stderr


def test_answers_of_a_grammar_from_outside_are_scored(python, tmp_path):
    image = {"id": 1, "file_name": "1.jpg", "width": 100, "height": 50}
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 5, 40, 20], "area": 800, "iscrowd": 0}
    truth, result, out = tmp_path / "truth.json", tmp_path / "result.jsonl", tmp_path / "scored"
    truth.write_text(json.dumps({"images": [image], "categories": [{"id": 1, "name": "dog"}], "annotations": [annotation]}))
    messages = [{"role": "user", "content": "<image>Find all."}, {"role": "assistant", "content": "dog 100 100 500 500"}]
    row = {"response": "dog 100 100 500 500", "messages": messages, "images": ["1.jpg"], "sample_id": 1, "size_wh": [100, 50]}
    result.write_text(json.dumps(row) + "\n")
    words = ("eval", "coco-map", str(result), "--gt", str(truth), "--family", "acme_vl", "--out", str(out))
    done = python("acme_vl = acme_families:ROW\n", "groundswift", *words)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["AP"], metrics["protocol"]["grammar"]) == (pytest.approx(1), "Plain")


@pytest.mark.parametrize("words", [["families"], ["families", "acme_vl"], ["families", "acme_vl", "--json"]])
def test_the_command_shows_it(python, words):
    done = python("acme_vl = acme_families:ROW\n", "groundswift", *words)
    assert (done.returncode, "acme_vl" in done.stdout, "dog 221 423 569 886" in done.stdout) == (0, True, True), done.stderr


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("acme_families:TAKEN", "the family name 'qwen2_vl' is taken"),
        ("acme_families:TEMPLATE", "family 'acme_t' names swift's template 'qwen2_vl' of family 'qwen2_vl'; expected templates of its own"),
        ("acme_families:MODEL", "family 'acme_m' names swift's model type 'glm4v' of family 'glm4v'; expected model types of its own"),
        ("acme_families:OTHER", "acme_families:OTHER is a str; expected a Family"),
        ("acme_families:GONE", "cannot be loaded (AttributeError"),
        ("acme_nowhere:ROW", "(ModuleNotFoundError: No module named 'acme_nowhere'); expected an installed module\n"),
        ("acme_letters:ROW", "family acme_l: swift_model_types is the text 'acme'; expected a tuple such as ('acme',))\n"),
        ("acme_families:BORROWED", "its family is named 'acme_qwen'; expected an entry point of the family's name"),
        ("acme_families:SPACE", "family acme_s: unknown coordinate space 'norm7'"),
        ("acme_families:RESIZED", "family acme_r writes px of the resized image; expected resize_factor, min_pixels and max_pixels"),
        ("acme_families:GRAMMAR", "unknown grammar 'cuneiform'"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_and_all_others_work(python, entry, message):
    entries = f"bad = {entry}\nacme_vl = acme_families:ROW\n" if "MODEL" not in entry else f"bad = {entry}\n"
    done = python(entries, "groundswift", "families")
    assert (done.returncode, done.stderr[:9], message in done.stderr) == (0, "warning: ", True), done.stderr
    assert "\nqwen2_vl\n" in done.stdout
    assert ("\nacme_vl\n" in done.stdout) == ("MODEL" not in entry)
    asked = python(entries, "groundswift", "families", "bad")
    assert (asked.returncode, asked.stderr[:7], message in asked.stderr) == (1, "error: ", True), asked.stderr
    if "nowhere" in entry:
        assert message.strip() in python(entries, "groundswift", "families", "unknown").stderr


def test_our_own_families_do_not_wait_for_others(python):
    code = "from groundswift import parse; print(parse('None', 'qwen2_vl').status, 'acme_families' in sys.modules)"
    assert python("acme_vl = acme_families:ROW\n", code).stdout == "empty False\n"
