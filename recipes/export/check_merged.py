"""Compare a merged folder with its base model: `python check_merged.py MERGED --adapters CHECKPOINT`.

Both are loaded, and tokens, special tokens, chat template and pixels of one image are compared. The plugin writes chat template and pixel
limits of the training into the merged folder, so these two may differ. Where their small files do not fit (`groundswift parity --files`),
nothing is loaded.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image
from transformers import AutoProcessor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _merged import base_folder

from groundswift.errors import GroundswiftError
from groundswift.merged_files import compare_files

TEXT = "a <|object_ref_start|>cat<|object_ref_end|>\nfür 图"
COMPARED = {  # what must not differ -> how a processor has it
    "tokens": lambda processor: processor.tokenizer.get_vocab(),
    "special tokens": lambda processor: processor.tokenizer.special_tokens_map,
    "tokenization of a text": lambda processor: processor.tokenizer(TEXT)["input_ids"],
    "image processor": lambda processor: type(processor.image_processor),
}


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
    base = base_folder(asked.adapters)
    try:
        files = compare_files(base, asked.merged)
    except GroundswiftError as error:
        sys.exit(f"error: {error}")
    wrong, allowed = differences(base, asked.merged) if files.fits else ([], [])
    if not files.fits:
        print("\n".join(files.lines()))
    else:
        print(f"loaded, differs: {', '.join(wrong) or 'nothing'}" + (f"; by the training: {', '.join(allowed)}" if allowed else ""))
    if wrong or not files.fits:
        sys.exit(f"error: {asked.merged} is not the base model with the adapter's weights")


if __name__ == "__main__":
    main()
