"""A dialogue about one image: each answer is printed while it is made, and later questions know the earlier ones.

python python_stream.py --image a.jpg --question "Detect all objects." --question "And the cat?" -- --adapters CHECKPOINT

The words after `--` are options of `swift infer`: model, template, plugin and adapter are what the checkpoint says.
"""

from __future__ import annotations

import argparse

from swift.infer_engine import InferRequest
from swift.pipelines.infer import SwiftInfer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", required=True)
    parser.add_argument("--question", required=True, action="append", help="several times for several turns")
    parser.add_argument("swift", nargs="+", help="options of `swift infer`, after --")
    asked = parser.parse_args()

    infer = SwiftInfer([*asked.swift, "--stream", "true"])
    messages: list[dict[str, str]] = []
    for turn, question in enumerate(asked.question):
        messages.append({"role": "user", "content": ("<image>" if turn == 0 else "") + question})
        print(f"question: {question}\nanswer: ", end="", flush=True)
        (parts,) = infer.infer_engine.infer([InferRequest(messages=messages, images=[asked.image])], infer.args.get_request_config())
        answer = ""
        for part in parts:
            if part is not None:
                answer += part.choices[0].delta.content or ""
                print(part.choices[0].delta.content or "", end="", flush=True)
        print()
        messages.append({"role": "assistant", "content": answer})


if __name__ == "__main__":
    main()
