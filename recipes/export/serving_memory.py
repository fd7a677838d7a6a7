"""Memory of serving a model: weights as they are on the disk, key-value cache, and what is left of the device.

python serving_memory.py MODEL_FOLDER --context 2048 --memory 64 --system 8

An estimate: activations, the engine's workspace and the image encoder's buffers are in --system. Exit status 3 if the plan needs more.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

GIB = 1 << 30
TOO_MUCH = 3  # exit status


def text_sizes(config: dict[str, Any]) -> dict[str, Any]:
    """The sizes of the language model, which some models have in a part of their configuration."""
    for name in ("text_config", "llm_config", "language_config"):
        if isinstance(config.get(name), dict) and "num_hidden_layers" in config[name]:
            return config[name]
    return config


def cache_bytes_per_token(config: dict[str, Any], bytes_each: int) -> int:
    """Keys and values of one token in all layers that keep them: those of linear attention have a state of fixed size."""
    text = text_sizes(config)
    heads = text["num_attention_heads"]
    keys = text.get("num_key_value_heads") or text.get("multi_query_group_num") or heads
    width = text.get("head_dim") or text["hidden_size"] // heads
    kinds = text.get("layer_types")
    layers = text["num_hidden_layers"] if kinds is None else sum("linear" not in kind for kind in kinds)
    return 2 * layers * keys * width * bytes_each


def weight_bytes(folder: Path) -> int:
    """The size of the weights. Ends the program where there are none."""
    files = [path for pattern in ("*.safetensors", "*.gguf", "*.bin") for path in folder.glob(pattern) if path.stat().st_size > 1 << 16]
    if not files:
        sys.exit(f"error: {folder}: has no weights; expected a model's folder with *.safetensors, *.gguf or *.bin")
    return sum(path.stat().st_size for path in files)


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a model. Ends the program where there is none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        text_sizes(config)["num_hidden_layers"], text_sizes(config)["num_attention_heads"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(
            f"error: {folder / 'config.json'}: cannot be read ({type(error).__name__}); expected the configuration of a language model"
        )
    return config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--context", type=int, default=2048, help="tokens of question, image and answer (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=1, help="at once (default: %(default)s)")
    parser.add_argument("--cache-bytes", type=int, default=2, help="of a number in the cache (default: %(default)s)")
    parser.add_argument("--memory", type=float, default=64, help="of the device, GiB (default: %(default)s)")
    parser.add_argument("--system", type=float, default=8, help="for the system, the engine and watch, GiB (default: %(default)s)")
    asked = parser.parse_args()
    config = read_config(asked.folder)
    weights = weight_bytes(asked.folder)
    per_token = cache_bytes_per_token(config, asked.cache_bytes)
    cache = per_token * asked.context * asked.requests
    left = asked.memory - asked.system - (weights + cache) / GIB
    print(f"weights  {weights / GIB:8.3f} GiB")
    print(f"cache    {cache / GIB:8.3f} GiB  ({asked.requests} x {asked.context} tokens, {per_token} bytes each)")
    print(f"system   {asked.system:8.3f} GiB")
    print(f"left     {left:8.3f} GiB of {asked.memory:g}")
    if left < 0:
        sys.exit(TOO_MUCH)


if __name__ == "__main__":
    main()
