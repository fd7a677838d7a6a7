"""Small data for recipes, drawn once: what `TRAIN=@NAME` in the head of a recipe stands for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from anomaly_set import lay_out_frames
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
ROWS = 6
OBJECT = " <ref-object><bbox>"
SETS = {"train": 21, "test": 22}  # name of a drawn set -> seed


def command(*words: str | Path) -> None:
    """Run a command of this interpreter's environment to its end."""
    subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True)


def drawn(folder: Path, name: str) -> Path:
    """A drawn set of the quickstart's second domain, as COCO and as rows."""
    base = folder / name
    if not base.exists():
        command(sys.executable, ROOT / "recipes/quickstart/draw.py", "toys", "--count", str(ROWS), "--seed", str(SETS[name]), "--out", base)
        groundswift = Path(sys.executable).with_name("groundswift")
        command(groundswift, "convert", "coco", base / "annotations.json", "--images", base / "images", "--out", base / "rows.jsonl")
    return base


def coco_rows(folder: Path, name: str) -> Path:
    return drawn(folder, name) / "rows.jsonl"


def ground_truth(folder: Path) -> Path:
    return drawn(folder, "test") / "annotations.json"


def images(folder: Path) -> Path:
    return drawn(folder, "test") / "images"


def conversations(folder: Path, name: str, question: str, answer: str, boxes: int | None = None, point: bool = False) -> Path:
    """Rows of the drawn images that have objects: a question and an answer over the first `boxes` of them, or over their first middle."""
    path, rows = folder / f"{name}.jsonl", []
    for line in coco_rows(folder, "test").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        labels, found = (row["objects"][key][:boxes] for key in ("ref", "bbox"))
        if found:
            if point:
                found = [[(x1 + x2) / 2, (y1 + y2) / 2] for x1, y1, x2, y2 in found]
            repeat = len(found)
            texts = {"user": question, "assistant": answer}
            row["messages"] = [{"role": role, "content": text.replace("{objects}", OBJECT * repeat)} for role, text in texts.items()]
            row["objects"] = {"ref": labels, "bbox": found}
            rows.append(json.dumps(row))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def prompts(folder: Path) -> Path:
    """The rows to train on, and one whose image has no object."""
    path, rows = folder / "prompts.jsonl", coco_rows(folder, "train").read_text(encoding="utf-8").splitlines()
    empty = json.loads(rows[0])
    image = folder / "empty.png"
    Image.new("RGB", tuple(empty["size_wh"]), (230, 230, 240)).save(image)
    empty |= {"sample_id": 1000, "images": [str(image)], "objects": {"ref": [], "bbox": []}}
    empty["messages"][-1]["content"] = "None"
    path.write_text("\n".join([*rows, json.dumps(empty)]) + "\n", encoding="utf-8")
    return path


def referring(folder: Path) -> Path:
    """Rows of one bare box an answer."""
    return conversations(folder, "find", "<image>Find <ref-object>.", "<bbox>", boxes=1)


def unified(folder: Path) -> Path:
    """The files of unified grounding."""
    base = folder / "unified"
    if not base.exists():
        base.mkdir()
        files = [
            referring(folder),
            conversations(folder, "describe", "<image>Describe the object at <bbox>.", "<ref-object>", boxes=1),
            conversations(folder, "flickr30k", "<image>Describe the image with boxes.", "There is: {objects}"),
            conversations(folder, "flickr30k_reverse", "<image>What is here: {objects}?", "Shapes."),
            conversations(folder, "points", "<image>Point at <ref-object>.", "<bbox>", boxes=1, point=True),
        ]
        for file in files:
            (base / file.name).write_bytes(file.read_bytes())
    return base


def hub(folder: Path) -> Path:
    """Copies of the hub's datasets that recipes name: formulas, captions, questions about videos."""
    from clips import write_clip
    from hub_copies import LATEX_README, png, write_parquet, write_text

    root = folder / "hub"
    if root.exists():
        return root
    latex, captions, videos = (root / name for name in ("AI-ModelScope/LaTeX_OCR", "modelscope/coco_2014_caption", "swift/VideoChatGPT"))
    rows = [(rf"x^{{{number}}}", png((40 + number, 20), 9 * number)) for number in range(12)]
    write_text(latex / "full/validation-00000-of-00001.parquet", rows)
    write_text(latex / "full/test-00000-of-00001.parquet", rows[:1])
    (latex / "README.md").write_text(LATEX_README)
    write_text(captions / "coco_2014_caption/validation-00000-of-00001.parquet", [("a dog&&a cat", data) for _, data in rows], "caption")
    asked = [
        {"video_name": "v_1", "question": f"What is {number}?", "question_1": "None", "question_2": "None", "answer": "Nothing."}
        for number in range(8)
    ]
    for subset in ("Generic", "Temporal", "Consistency"):
        write_parquet(videos / subset / "test-00000-of-00001.parquet", asked, None)
    clips = root / "media/video_chatgpt/Test_Videos"
    clips.mkdir(parents=True)
    write_clip(clips / "v_1.mp4")
    return root


def anomaly_step(*words: str | Path) -> None:
    command(Path(sys.executable).with_name("groundswift"), "anomaly", *words)


def anomaly(folder: Path) -> Path:
    """Rows of the three stages in parts, of a drawn bench."""
    base = folder / "anomaly"
    if not base.exists():
        data = lay_out_frames(folder / "bench", 6, 3, (112, 84))
        made = [folder / f"{name}.jsonl" for name in ("local", "marked", "located")]
        steps = [
            ("crop", "--save-images", folder / "local", "--answers", "ab"),
            ("draw", "--save-images", folder / "marked", "--answers", "ab"),
        ]
        for (step, *words), rows in zip([*steps, ("locate",)], made, strict=True):
            bubble = () if step == "crop" else ("--anomaly", "bubble")
            anomaly_step(step, data, *words, *bubble, "--out", rows)
        anomaly_step("split", *made, "--parts", "train=0.6", "val=0.4", "--near-bits", "0", "--workers", "1", "--out", base)
    return base


def anomaly_in(form: str, folder: Path) -> Path:
    """The same in another form, `glm4v` or `phi3v`, in which boxes are text."""
    base = folder / f"anomaly_{form}"
    if not base.exists():
        base.mkdir()
        groundswift, suffix = Path(sys.executable).with_name("groundswift"), "json" if form == "phi3v" else "jsonl"
        for rows in sorted(anomaly(folder).glob("*.[123].jsonl")):
            command(groundswift, "convert", f"to-{form}", rows, "--out", base / f"{rows.stem}.{suffix}")
    return base


def hostfile(folder: Path) -> Path:
    """A hostfile of DeepSpeed: this machine with two processes."""
    path = folder / "hostfile"
    path.write_text("localhost slots=2\n")
    return path


DATA: dict[str, Callable[[Path], Path]] = {
    "train": lambda folder: coco_rows(folder, "train"),
    "test": lambda folder: coco_rows(folder, "test"),
    "gt": ground_truth,
    "images": images,
    "image": lambda folder: sorted(images(folder).iterdir())[0],
    "prompts": prompts,
    "referring": referring,
    "unified": unified,
    "hub": hub,
    "anomaly": anomaly,
    "anomaly_glm4v": partial(anomaly_in, "glm4v"),
    "anomaly_phi3v": partial(anomaly_in, "phi3v"),
    "hostfile": hostfile,
}
