"""Answers of a model folder by plain transformers, its own chat template and its own processor: no swift, no plugin. Run as a script.

`python plain_transformers.py MODEL ROWS.jsonl OUT.jsonl [pillow]`: rows of swift in, one JSON line a row out: `response`, `input_ids`.
`pillow`: images are resized by Pillow, as swift does, not by torch.
"""

from __future__ import annotations

import json
import sys

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor


def conversation(row: dict) -> list[dict]:
    """The question of a row of swift as content parts."""
    images = iter(row["images"])
    parts = []
    for place, text in enumerate(row["messages"][0]["content"].split("<image>")):
        if place:
            image = next(images)
            parts.append({"type": "image", "image": image["path"] if isinstance(image, dict) else image})
        if text:
            parts.append({"type": "text", "text": text})
    return [{"role": "user", "content": parts}]


def main(folder: str, rows: str, out: str, resize: str = "torch") -> None:
    processor = AutoProcessor.from_pretrained(folder, use_fast=resize != "pillow")
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    with open(rows, encoding="utf-8") as lines, open(out, "w", encoding="utf-8") as answers:
        for line in lines:
            inputs = processor.apply_chat_template(
                conversation(json.loads(line)), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
            written = model.generate(**inputs, max_new_tokens=160, do_sample=False)[0, inputs["input_ids"].shape[1] :]
            response = processor.tokenizer.decode(written).removesuffix("<|im_end|>")
            answers.write(json.dumps({"response": response, "input_ids": inputs["input_ids"][0].tolist()}) + "\n")
    assert "swift" not in sys.modules


if __name__ == "__main__":
    main(*sys.argv[1:])
