"""The commands under fuzzing: converters, lint, evaluator, compare and report, each on sources that are nearly right.

An input is bytes: they draw the files that are changed, how, and the options. Whatever a file holds, a command ends with status 0, 1 or 2
and a message: no other exception, no terminal escape, no file half written, nothing in a report that a browser would run.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner, Result
from converted import write_lines
from mutations import SCRIPT, mutated
from source_examples import example, lay_out, put

from fuzz_target import Draws, Failures
from groundswift import Located, families, format_answer
from groundswift.cli import main
from groundswift.data_converters.base import EXAMPLE_IMAGE
from groundswift.data_converters.registry import FORMATS

LIMIT_S = 20.0  # CPU time of one command; most take some hundredths
PICTURES = (".jpg", ".png", ".mp4")
FAMILIES = ["qwen2_vl", "qwen3_vl", "glm4v", "florence2", "llava"]
BOX = Located("cat", (100, 200, 500, 800))
COCO, OLD = FORMATS["coco"].EXAMPLE["annotations.json"], FORMATS["swift2"].EXAMPLE["old.jsonl"][0]
HOSTILE_TRUTH = json.loads(json.dumps(COCO).replace('"cat"', json.dumps(f"{SCRIPT}'\"&")).replace('"a.jpg"', json.dumps(f"{SCRIPT}.jpg")))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


class CommandTarget(Failures):
    """One command on one source. `root`: where its files lie; they are put back after every input."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.root = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self.codes: dict[int, int] = {}
        self.prepare, self.arguments = COMMANDS[name.partition(" ")[0]]
        self.inside(lambda: self.prepare(name.partition(" ")[2], self.root))
        self.files = {path: path.read_bytes() for path in sorted(self.root.rglob("*")) if path.is_file()}
        self.texts = [path for path in self.files if path.suffix not in PICTURES]
        self.scripts = -1  # how many a report has whose names are ordinary

    def inside(self, call: Callable[[], object]) -> object:
        """Call it with the root as working folder."""
        before = os.getcwd()
        os.chdir(self.root)
        try:
            return call()
        finally:
            os.chdir(before)

    def __call__(self, data: bytes) -> None:
        draws = Draws(data)
        self.inputs += 1
        changes = self.change(draws)
        arguments = self.arguments(self.name.partition(" ")[2], self.root, draws)
        try:
            self.inside(lambda: self.check(arguments))
        except Exception as error:
            self.failed(error, f"{' '.join(map(str, arguments))}", "; ".join(changes))
        finally:
            self.put_back()

    def change(self, draws: Draws) -> list[str]:
        """Change one to three files -> what each holds now, for people."""
        shown = []
        for _ in range(1 + draws.below(8) // 6 + draws.below(8) // 7):
            among = self.texts if draws.below(5) else list(self.files)
            path = among[draws.up_to(len(among) - 1)]
            way = draws.below(40)
            if way == 0:
                path.unlink(missing_ok=True)
            elif way == 1:
                path.write_bytes(self.files[among[draws.up_to(len(among) - 1)]])
            elif path.exists():
                path.write_bytes(mutated(path.read_bytes(), path.suffix, draws))
            shown.append(f"{path.relative_to(self.root)}: {path.read_bytes()[:600]!r}" if path.exists() else f"{path.name} is gone")
        return shown

    def check(self, arguments: list[object]) -> None:
        """Run the command and assert what must hold. Raises AssertionError, or what the command raised."""
        start = time.process_time()
        done = run(*arguments)
        seconds = time.process_time() - start
        self.codes[done.exit_code] = self.codes.get(done.exit_code, 0) + 1
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code in (0, 1, 2), done.exit_code
        assert seconds < LIMIT_S, f"{seconds:.1f} s"
        assert "Traceback" not in done.output
        assert "\x1b" not in done.output, "a terminal escape"
        assert done.exit_code == 0 or done.output.strip(), "no message"
        out = Path(str(arguments[arguments.index("--out") + 1])) if "--out" in arguments else None
        if out is not None and done.exit_code == 0 and out.suffix == ".jsonl" and arguments[0] == "convert":
            checked = run("lint", out, "--no-check-images", "--json")
            if checked.exception is not None and not isinstance(checked.exception, SystemExit):
                raise checked.exception
        elif out is not None and done.exit_code != 0 and arguments[0] == "convert":
            assert not out.exists(), "a failed conversion left its output"
        report = out / "report.html" if out is not None else None
        if report is not None and report.is_file():
            html = report.read_text(encoding="utf-8")
            found = html.casefold().count("<script")
            assert SCRIPT not in html, "a script of the input in the report"
            assert found == html.casefold().count("</script"), "scripts that do not match"
            found -= html.count('<script type="application/json"')  # of images, which differ in number
            self.scripts = found if self.scripts < 0 else self.scripts
            assert found == self.scripts, f"{found} scripts in the report, {self.scripts} in another"

    def put_back(self) -> None:
        """Every file as it was; what a command wrote is gone."""
        for path in sorted(self.root.rglob("*"), reverse=True):
            if path.is_symlink() or (path.is_file() and path not in self.files):
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        for path, content in self.files.items():
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    def close(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


def skip(draws: Draws) -> list[object]:
    """The option to go on after problems, every other time."""
    return ["--on-error", "skip"] if draws.below(2) else []


def convert_arguments(name: str, _root: Path, draws: Draws) -> list[object]:
    return [*example(name), *([] if "--on-error" in example(name) else skip(draws))]


def lay_out_rows(_name: str, root: Path) -> None:
    """Rows of several conversions, and of the shapes that swift knows besides."""
    put(root / "coco.json", COCO)
    put(root / "old.jsonl", [OLD])
    put(root / "images/a.jpg", EXAMPLE_IMAGE)
    put(root / "data/a.jpg", EXAMPLE_IMAGE)
    run("convert", "coco", "coco.json", "--images", "images", "--out", "coco.jsonl")
    run("convert", "swift2", "old.jsonl", "--images", "data", "--out", "new.jsonl")
    rows = [json.loads(line) for name in ("coco.jsonl", "new.jsonl") for line in (root / name).read_text().splitlines()]
    turn = {"role": "user", "content": "<image>Where is <ref-object>?"}
    answers = [{"role": "assistant", "content": content} for content in ("<bbox>", "[1, 2, 3, 4]")]
    objects = {"ref": ["cat"], "bbox": [[1, 1, 4, 5]], "bbox_type": "real"}
    rows.append({"messages": [turn, answers[0]], "images": ["data/a.jpg"], "objects": objects})
    rows.append(rows[-1] | {"rejected_response": "None", "size_wh": [8, 6]})
    rows.append({"messages": [turn, answers[1]], "rejected_messages": [turn, answers[0]], "images": [{"path": "data/a.jpg"}]})
    for name in ("coco.json", "old.jsonl", "coco.jsonl", "new.jsonl"):
        (root / name).unlink(missing_ok=True)
    write_lines(root / "rows.jsonl", *rows)


def lint_arguments(_name: str, _root: Path, draws: Draws) -> list[object]:
    family = ["--family", FAMILIES[draws.below(len(FAMILIES))]] if draws.below(2) else []
    more = [["--json"], ["--fix", "fixed.jsonl"], ["--no-check-images"], ["--decode"], ["--against", "rows.jsonl"]][draws.below(5)]
    return ["lint", "rows.jsonl", *family, *more]


def lay_out_scoring(family: str, root: Path, truth: dict = COCO) -> None:
    """Truth, a result of one family with log-probabilities, and COCO results."""
    put(root / "gt.json", truth)
    put(root / "images/a.jpg", EXAMPLE_IMAGE)
    located = [BOX] if families()[family].boxes else [Located("cat", None, (10, 20))]
    if families()[family].space.startswith("square"):
        located = [Located("cat", (0.1, 0.2, 0.5, 0.8))]
    text = format_answer(located, family)
    tokens = [{"token": token, "logprob": -0.5, "bytes": []} for token in (text[: len(text) // 2], text[len(text) // 2 :], "<|im_end|>")]
    row = {"response": text, "labels": text, "sample_id": 1, "size_wh": [8, 6], "images": [{"bytes": None, "path": "a.jpg"}]}
    row["messages"] = [{"role": "user", "content": "<image>Find the cat."}, {"role": "assistant", "content": text}]
    row["logprobs"] = {"content": tokens}
    write_lines(root / "result.jsonl", row)
    put(root / "pred.json", [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 4], "score": 0.5}])


def score_arguments(family: str, _root: Path, draws: Draws) -> list[object]:
    limits = ["--min-pixels", "default", "--max-pixels", "default", "--first-max-pixels", "default"]
    result = ["result.jsonl", "--family", family, *(limits if families()[family].space == "resized_px" else [])]
    source = [result, [*result, "--score", "logprob"], ["--predictions", "pred.json"]][draws.below(3)]
    report = ["--images", "images"] if draws.below(4) == 0 else ["--no-report"]
    return ["eval", "coco-map", *source, "--gt", "gt.json", "--out", "out", *skip(draws), *report]


def report_arguments(family: str, _root: Path, draws: Draws) -> list[object]:
    title = ["--title", SCRIPT] if draws.below(2) else []
    files = ["--gt", "gt.json", "--out", "out", "--images", "images"]
    return ["eval", "coco-map", "result.jsonl", "--family", family, *files, *title, *skip(draws)]


def lay_out_report(family: str, root: Path) -> None:
    """Names, labels and an answer that a browser would run, were they not escaped."""
    lay_out_scoring(family, root, HOSTILE_TRUTH)
    row = json.loads((root / "result.jsonl").read_text())
    row["response"] = f"{SCRIPT}</script>{row['response'].replace('cat', HOSTILE_TRUTH['categories'][0]['name'])}"
    write_lines(root / "result.jsonl", row)


def lay_out_runs(_name: str, root: Path) -> None:
    """Two folders that `eval coco-map` wrote."""
    lay_out_scoring("qwen2_vl", root)
    for folder in ("before", "after"):
        run("eval", "coco-map", "result.jsonl", "--family", "qwen2_vl", "--gt", "gt.json", "--out", folder, "--no-report")


def compare_arguments(_name: str, _root: Path, draws: Draws) -> list[object]:
    names = ["--names", f"{SCRIPT},after"] if draws.below(4) == 0 else []
    return ["eval", "compare", "before", "after", "--out", "out", *names, *(["--images", "images"] if draws.below(2) else [])]


COMMANDS: dict[str, tuple[Callable[[str, Path], None], Callable[[str, Path, Draws], list[object]]]] = {
    "convert": (lay_out, convert_arguments),
    "lint": (lay_out_rows, lint_arguments),
    "coco-map": (lay_out_scoring, score_arguments),
    "report": (lay_out_report, report_arguments),
    "compare": (lay_out_runs, compare_arguments),
}
TARGETS = [f"convert {name}" for name in FORMATS]
TARGETS += ["lint", *(f"coco-map {family}" for family in ("qwen2_vl", "qwen2_5_vl", "glm4v", "llava")), "report qwen2_vl", "compare"]
