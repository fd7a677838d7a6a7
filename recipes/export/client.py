"""Ask a server of `swift deploy` for boxes, and write them in original pixels.

python client.py rows.jsonl --url http://127.0.0.1:8000/v1 --model groundswift --trained CHECKPOINT --out boxes.jsonl

Rows are those of `groundswift convert`; each image file is sent unchanged. Family, space and pixel limits are read from the checkpoint's
record, so the server must run with the same limits.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
from openai import OpenAI, OpenAIError

from groundswift.answer_px import answer_in_px, record_of_model
from groundswift.data_urls import data_url
from groundswift.errors import GroundswiftError
from groundswift.images import read_size_wh
from groundswift.row_view import image_source


def request_of(row: dict) -> list[dict]:
    """A row's messages up to the answer in the form of the OpenAI API: `<image>` becomes the image."""
    images = iter(row.get("images") or [])
    turns = row["messages"][:-1] if row["messages"][-1]["role"] == "assistant" else row["messages"]
    messages = []
    for turn in turns:
        parts: list[dict] = []
        for number, text in enumerate(turn["content"].split("<image>")):
            if number:
                parts.append({"type": "image_url", "image_url": {"url": data_url(Path(image_source(next(images))).read_bytes())}})
            if text:
                parts.append({"type": "text", "text": text})
        messages.append({"role": turn["role"], "content": parts})
    return messages


def rows_of(path: Path) -> Iterator[dict]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True, help="the name that the server gives")
    parser.add_argument("--trained", type=Path, required=True, help="the checkpoint or merged folder that is served")
    parser.add_argument("--max-tokens", type=int, default=2048)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    record = record_of_model(asked.trained)
    client = OpenAI(base_url=asked.url, api_key="EMPTY", max_retries=2, timeout=600, http_client=httpx.Client(trust_env=False, timeout=600))
    boxes = answers = 0
    with asked.out.open("x", encoding="utf-8") as out:
        for row in rows_of(asked.rows):
            done = client.chat.completions.create(model=asked.model, messages=request_of(row), temperature=0, max_tokens=asked.max_tokens)
            choice = done.choices[0]
            size_wh, _ = read_size_wh(image_source(row["images"][0]))
            answer = answer_in_px(choice.message.content or "", record, size_wh, cut=choice.finish_reason == "length")
            objects = [{"label": each.label, "box_xyxy_px": each.box} for each in answer.objects]
            found = {"sample_id": row.get("sample_id"), "size_wh": size_wh, "status": answer.status, "objects": objects}
            out.write(json.dumps({**found, "answer": choice.message.content}, ensure_ascii=False) + "\n")
            answers, boxes = answers + 1, boxes + len(objects)
    print(f"{answers} answers, {boxes} boxes in original pixels -> {asked.out}")


if __name__ == "__main__":
    try:
        main()
    except (GroundswiftError, OpenAIError, OSError) as error:
        sys.exit(f"error: {error}")
