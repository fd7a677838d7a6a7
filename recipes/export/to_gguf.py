"""llama.cpp's converter, also for a tokenizer that it does not know: `python to_gguf.py LLAMA_CPP MODEL --splits-as qwen2 OPTION...`.

It knows a tokenizer by a hash of what it makes of a text, and ends with an error for others. `--splits-as` names the one that splits text
alike; empty: the converter's own choice. A vocabulary of bytes has no merges, which the server refuses, so it gets one of two bytes that no
text of UTF-8 has together. Further options are the converter's.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

CONVERTER = "convert_hf_to_gguf.py"
NEVER_USED = "ł Ń"  # the bytes A0 and AD as a byte-level vocabulary writes them: both only continue a character, two in a row


def use(splits_as: str) -> None:
    """Let the converter take every tokenizer for the one that llama.cpp calls `splits_as`."""
    import gguf
    from conversion.base import TextModel

    TextModel.get_vocab_base_pre = lambda self, tokenizer: splits_as
    write = gguf.SpecialVocab.add_to_gguf

    def with_merges(self, *words, **named):
        self.merges = self.merges or [NEVER_USED]
        write(self, *words, **named)

    gguf.SpecialVocab.add_to_gguf = with_merges


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_cpp", type=Path, help=f"folder with {CONVERTER}")
    parser.add_argument("model", help="merged folder")
    parser.add_argument("--splits-as", default="", help="such as qwen2")
    asked, options = parser.parse_known_args()
    script = asked.llama_cpp / CONVERTER
    if not script.is_file():
        sys.exit(f"error: {asked.llama_cpp}: no {CONVERTER}; expected the folder of llama.cpp's source")
    sys.path[:0] = [str(asked.llama_cpp), str(asked.llama_cpp / "gguf-py")]
    if asked.splits_as:
        use(asked.splits_as)
    sys.argv = [str(script), asked.model, *options]
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
