"""Give the tokens that a model has never seen embeddings of their own: `python own_embeddings.py MODEL --out FOLDER`.

In training from random weights a token that no row has is only ever pushed away from the answers, and all of them end at one place: in the
quickstart's model 230 of 275, `A`, `B` and the blank among them, which it cannot tell apart, neither as input nor as output. LoRA on the
linear layers leaves that so. Each gets a random direction, as long as the embeddings of the others are on average.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

WEIGHTS, NAME = "model.safetensors", "model.embed_tokens.weight"
ALIKE = 0.99  # cosine of two embeddings that are one place


def separated(embeddings: torch.Tensor, seed: int) -> tuple[torch.Tensor, int]:
    """(T, D) embeddings in which those that were alike are not any more; how many these are."""
    directions = torch.nn.functional.normalize(embeddings.float(), dim=1)
    alike = (directions @ directions.T > ALIKE).sum(1) > 1
    count = int(alike.sum())
    if not count:
        return embeddings, 0
    length = embeddings[~alike].float().norm(dim=1).mean()
    drawn = torch.randn(count, embeddings.shape[1], generator=torch.Generator().manual_seed(seed))
    found = embeddings.clone()
    found[alike] = (length * torch.nn.functional.normalize(drawn, dim=1)).to(embeddings.dtype)
    return found, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a model with tied embeddings in one file")
    parser.add_argument("--out", type=Path, required=True, help="folder for the same model with other embeddings")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    partial = asked.out.with_name(f"{asked.out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(asked.model, partial)
    weights = load_file(asked.model / WEIGHTS)
    weights[NAME], count = separated(weights[NAME], asked.seed)
    save_file(weights, partial / WEIGHTS, metadata={"format": "pt"})
    partial.replace(asked.out)
    print(f"{count} of {len(weights[NAME])} tokens got embeddings of their own -> {asked.out}")


if __name__ == "__main__":
    main()
