"""What the tiny models of `zoo.py` are made of: sizes, and tokenizers of one token a byte and the marks of a family by their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 16,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
}
QWEN_MARKS = tuple(
    f"<|{name}|>"
    for name in ("endoftext", "im_start", "im_end", "object_ref_start", "object_ref_end", "box_start", "box_end", "quad_start", "quad_end")
    + ("vision_start", "vision_end", "vision_pad", "image_pad", "video_pad")
)
GLM_MARKS = ("<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>")
GLM_MARKS += ("<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>")
GLM_MARKS += ("<|image|>", "<|video|>", "<think>", "</think>", "<|begin_of_box|>", "<|end_of_box|>")
LLAMA_MARKS = ("<unk>", "<s>", "</s>", "<pad>", "<image>")
GEMMA_MARKS = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
GEMMA4_MARKS = ("<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", "<|think|>", "<|channel>", "<channel|>")
PADDLE_MARKS = ("<unk>", "<s>", "</s>", "<|begin_of_sentence|>", "<|end_of_sentence|>", "<|IMAGE_START|>", "<|IMAGE_END|>")
PADDLE_MARKS += ("<|IMAGE_PLACEHOLDER|>", "<|video_pad|>", *(f"<|LOC_{number}|>" for number in range(1001)))
IDEFICS_MARKS = ("<|begin_of_text|>", "<|end_of_text|>", "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>")
IDEFICS_MARKS += tuple(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7))


@dataclass(frozen=True)
class Parts:
    """What a family is made of: the class and the configuration of its model, and its processor. `finish` completes untrained weights,
    `add_files` a folder."""

    model_cls: type
    config: Any
    processor: Any
    finish: Callable[[Any], None] = lambda model: None
    add_files: Callable[[Path], None] = lambda folder: None


def parts(name: str, *made: Any) -> Parts:
    """The parts of a family by the name that transformers' classes of it begin with."""
    return Parts(getattr(transformers, f"{name}ForConditionalGeneration"), *made)


def tokenizer(
    marks: Sequence[str], eos: str, pad: str, bos: str | None = None, places: dict[str, int] | None = None, **named: str
) -> PreTrainedTokenizerFast:
    """One token a byte and one a mark. `places`: tokens that have to have a certain id, even far behind the others. `named`: marks
    that a processor asks for by name."""
    places = dict(places or {})
    vocab: dict[str, int] = {}
    taken, free = set(places.values()), 0
    for token in (*sorted(pre_tokenizers.ByteLevel.alphabet()), *marks):
        while free in taken:
            free += 1
        vocab[token] = places.get(token, free)
        taken.add(vocab[token])
    spelling = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    spelling.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    spelling.decoder = decoders.ByteLevel()
    spelling.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
    return PreTrainedTokenizerFast(
        tokenizer_object=spelling,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        model_max_length=65536,
        clean_up_tokenization_spaces=False,
        extra_special_tokens=named,
    )


def losses(model: Any, template: Any, batches: Sequence[Sequence[dict[str, Any]]]) -> list[float]:
    """The loss of each batch of rows, with swift's collator and its hook that embeds images."""
    template.register_post_encode_hook([model])
    try:
        with torch.no_grad():
            return [model(**template.data_collator([template.encode(row) for row in rows])).loss.item() for rows in batches]
    finally:
        template.remove_post_encode_hook()


def ids(tokens: PreTrainedTokenizerFast, **names: str) -> dict[str, int]:
    """Token ids for a configuration, by the name that it has for each."""
    return {name: tokens.convert_tokens_to_ids(token) for name, token in names.items()}


def qwen_ids(tokens: PreTrainedTokenizerFast) -> dict[str, int]:
    marks = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    return ids(tokens, **marks, vision_start_token_id="<|vision_start|>", vision_end_token_id="<|vision_end|>")


def qwen_tokenizer() -> PreTrainedTokenizerFast:
    return tokenizer(QWEN_MARKS, "<|im_end|>", "<|endoftext|>")
