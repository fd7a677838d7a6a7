"""One image and one question: the answer, and its boxes in original pixels.

python python_one_sample.py --image a.jpg --question "Detect all objects." -- --adapters CHECKPOINT --max_new_tokens 2048

The words after `--` are options of `swift infer`: model, template, plugin and adapter are what the checkpoint says.
"""

from __future__ import annotations

import argparse
import json

from swift.infer_engine import InferRequest
from swift.pipelines.infer import SwiftInfer

from groundswift.answer_px import answer_in_px, record_of_model
from groundswift.images import read_size_wh


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", required=True)
    parser.add_argument("--question", required=True)
    parser.add_argument("swift", nargs="+", help="options of `swift infer`, after --")
    asked = parser.parse_args()

    infer = SwiftInfer([*asked.swift, "--stream", "false"])
    request = InferRequest(messages=[{"role": "user", "content": f"<image>{asked.question}"}], images=[asked.image])
    (response,) = infer.infer_engine.infer([request], infer.args.get_request_config())
    choice = response.choices[0]
    print(f"answer: {choice.message.content}")

    size_wh, _ = read_size_wh(asked.image)
    answer = answer_in_px(choice.message.content, record_of_model(infer.args.ckpt_dir), size_wh, cut=choice.finish_reason == "length")
    print(f"status: {answer.status}")
    for each in answer.objects:
        print(json.dumps({"label": each.label, "box_xyxy_px": each.box}, ensure_ascii=False))


if __name__ == "__main__":
    main()
