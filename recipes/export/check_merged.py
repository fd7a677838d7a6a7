"""Compare a merged folder with its base model: `python check_merged.py MERGED --adapters CHECKPOINT`.

Files of the base that the merged folder lacks are an error, except weights and documents (transformers 5 merges some files). Then
both are loaded, and tokens, special tokens, chat template and pixels of one image are compared. The plugin writes chat template and pixel
limits of the training into the merged folder, so these two may differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from PIL import Image
from transformers import AutoProcessor

FOLDED = {  # file of older models -> the file of transformers 5 that holds it
    "vocab.json": "tokenizer.json",
    "merges.txt": "tokenizer.json",
    "added_tokens.json": "tokenizer.json",
    "special_tokens_map.json": "tokenizer_config.json",
    "preprocessor_config.json": "processor_config.json",
    "video_preprocessor_config.json": "processor_config.json",
    "chat_template.json": "chat_template.jinja",
}
NO_PART = (".safetensors", ".bin", ".pt", ".pth", ".md", ".txt", ".png", ".jpg", ".pdf", ".index.json")
NEEDED = {
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "processor_config.json", "chat_template.jinja"),
}
TEXT = "a <|object_ref_start|>cat<|object_ref_end|>\nfür 图"
COMPARED = {  # what must not differ -> how a processor has it
    "tokens": lambda processor: processor.tokenizer.get_vocab(),
    "special tokens": lambda processor: processor.tokenizer.special_tokens_map,
    "tokenization of a text": lambda processor: processor.tokenizer(TEXT)["input_ids"],
    "image processor": lambda processor: type(processor.image_processor),
}


def base_folder(model: str) -> Path:
    """The folder of a model given by folder or hub id; swift finds its downloads."""
    if Path(model).is_dir():
        return Path(model)
    from swift.utils import safe_snapshot_download

    return Path(safe_snapshot_download(model, download_model=False, check_local=True))


def missing(base: Path, merged: Path) -> list[str]:
    """Files of the base, and files that serving needs, that the merged folder lacks."""
    names = {path.name for path in base.iterdir() if path.is_file() and not path.name.startswith(".")}
    wanted = {FOLDED.get(name, name) for name in names if name in FOLDED or not name.endswith(NO_PART)}
    wanted -= {"args.json", "configuration.json", "LICENSE", "LICENSE.txt", "groundswift_run.json"}
    wanted |= NEEDED & names
    return sorted(name for name in wanted if not (merged / name).is_file())


def differences(base: Path, merged: Path) -> tuple[list[str], list[str]]:
    """(what must not differ and does, what may)."""
    one, other = (AutoProcessor.from_pretrained(folder, trust_remote_code=True) for folder in (base, merged))
    image = Image.new("RGB", (224, 168), "navy")
    wrong = [name for name, of in COMPARED.items() if of(one) != of(other)]
    allowed = ["chat template"] if one.chat_template != other.chat_template else []
    before, after = (each.image_processor(images=[image], return_tensors="pt")["pixel_values"] for each in (one, other))
    if before.shape != after.shape:
        allowed.append("pixel limits")
    elif not (before == after).all():
        wrong.append("pixels of an image")
    return wrong, allowed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("merged", type=Path)
    parser.add_argument("--adapters", type=Path, required=True)
    asked = parser.parse_args()
    model = json.loads((asked.adapters / "args.json").read_text(encoding="utf-8"))["model"]
    base = base_folder(model)
    lacking = missing(base, asked.merged)
    wrong, allowed = differences(base, asked.merged) if not lacking else ([], [])
    print(f"files of the base model that are missing: {', '.join(lacking) or 'none'}")
    print(f"differs from the base model: {', '.join(wrong) or 'nothing'}" + (f"; by the training: {', '.join(allowed)}" if allowed else ""))
    if lacking or wrong:
        sys.exit(f"error: {asked.merged} is not the base model with the adapter's weights")


if __name__ == "__main__":
    main()
