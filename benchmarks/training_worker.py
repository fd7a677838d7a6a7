"""One side of `training.py`: stock swift, or swift with groundswift's plugin, in a process of its own that does what its stdin asks.

    python benchmarks/training_worker.py ours|stock

A line of JSON comes in, a line `RESULT {...}` goes out; everything else that is printed is swift's. The stock side imports nothing of
groundswift. Both know the image token of the tiny model by its name, which official tokenizers do not need.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from swift import sft_main
from swift.metrics import eval_metrics_map
from swift.metrics.base import EvalMetrics
from swift.model import get_processor
from swift.template import get_template
from swift.template.templates.qwen import Qwen2VLTemplate
from swift.trainers import Seq2SeqTrainer
from swift.utils import import_external_file
from transformers import TrainerCallback
from transformers import trainer as hf_trainer

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "recipes" / "quickstart" / "model"
SIDE = sys.argv[1]
TEMPLATE = {"ours": "qwen2_vl_grounding", "stock": "qwen2_vl"}[SIDE]
BASICS = ["--model", str(MODEL), "--model_type", "qwen2_vl", "--template", TEMPLATE, "--torch_dtype", "float32", "--attn_impl", "sdpa"]
BASICS += ["--fp16", "false", "--check_model", "false", "--report_to", "none", "--add_version", "false", "--tuner_type", "lora"]
BASICS += ["--per_device_train_batch_size", "1", "--gradient_accumulation_steps", "1", "--save_strategy", "no", "--seed", "1"]
Seconds = dict[str, float]


class Unscored(EvalMetrics):
    """What stock swift is timed with: it has no metric of boxes, and its own takes time for BLEU and ROUGE."""

    def compute_metrics(self, eval_prediction: Any) -> Seconds:
        return {}


class Clock:
    """CPU and wall seconds since it was made."""

    def __init__(self) -> None:
        self.start = self.now()

    @staticmethod
    def now() -> tuple[float, float]:
        return time.process_time(), time.perf_counter()

    def seconds(self) -> Seconds:
        return dict(zip(("cpu", "wall"), (now - start for now, start in zip(self.now(), self.start, strict=True)), strict=True))


class Steps(TrainerCallback):
    """The seconds of every training step but the first, with the encoding of its rows, from the end of the step before."""

    found: list[Seconds] = []
    clock: Clock | None = None

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        if Steps.clock is not None:
            Steps.found.append(Steps.clock.seconds())
        Steps.clock = Clock()


def encode(rows: list[dict[str, Any]], max_pixels: int | None, pixels: str | None) -> dict[str, Any]:
    """Seconds a row, a digest of tokens and labels, and, in a file `pixels`, what the model would see."""
    template = get_template(get_processor(str(MODEL), model_type="qwen2_vl"), template_type=TEMPLATE, max_pixels=max_pixels)
    template.set_mode("train")
    encoded = [template.encode(deepcopy(row)) for row in rows]  # not timed: the first rows pay for memory that later ones use again
    if pixels:
        torch.save([each["pixel_values"] for each in encoded], pixels)
    tokens = json.dumps([[each["input_ids"], each["labels"], each["image_grid_thw"].tolist()] for each in encoded])
    del encoded
    clock = Clock()
    for row in rows:  # none is kept, as a dataloader yields each at once
        template.encode(deepcopy(row))
    seconds = clock.seconds()
    return {name: value / len(rows) for name, value in seconds.items()} | {"tokens": hashlib.sha256(tokens.encode()).hexdigest()}


def step(data: str, steps: int, out: str) -> dict[str, Any]:
    """The seconds of the steps of one LoRA training but the first."""
    Steps.found.clear()
    Steps.clock = None
    hf_trainer.DEFAULT_CALLBACKS.append(Steps)
    try:
        sft_main([*BASICS, "--dataset", data, "--max_steps", str(steps), "--split_dataset_ratio", "0", "--output_dir", out])
    finally:
        hf_trainer.DEFAULT_CALLBACKS.remove(Steps)
    return {"steps": list(Steps.found)}


def evaluation(data: str, validation: str, out: str) -> dict[str, Any]:
    """The seconds of one evaluation by generation; the answers are in predict.jsonl."""
    found: list[Seconds] = []
    evaluate = Seq2SeqTrainer.evaluate

    def timed(self: Seq2SeqTrainer, *args: Any, **kwargs: Any) -> Any:
        clock = Clock()
        result = evaluate(self, *args, **kwargs)
        found.append(clock.seconds())
        return result

    more = ["--dataset", data, "--val_dataset", validation, "--output_dir", out, "--max_steps", "1", "--eval_strategy", "steps"]
    more += ["--eval_steps", "1", "--learning_rate", "1e-12", "--predict_with_generate", "true", "--max_new_tokens", "160"]
    more += ["--eval_metric", "coco_map"] if SIDE == "ours" else ["--eval_metric", "unscored", "--metric_for_best_model", "runtime"]
    Seq2SeqTrainer.evaluate = timed
    try:
        sft_main([*BASICS, *more])
    finally:
        Seq2SeqTrainer.evaluate = evaluate
    return found[0]


def main() -> None:
    if SIDE == "ours":
        import_external_file(str(ROOT / "swift_plugins" / "register.py"))
        BASICS.extend(["--custom_register_path", str(ROOT / "swift_plugins" / "register.py")])
    else:
        eval_metrics_map["unscored"] = Unscored
        tokenizer = get_processor(str(MODEL), model_type="qwen2_vl").tokenizer
        Qwen2VLTemplate.image_token_id = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    torch.set_num_threads(1)
    print("RESULT {}", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        done = {"encode": encode, "step": step, "evaluation": evaluation}[asked.pop("do")](**asked)
        print("RESULT", json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
