"""Make an untrained Qwen2-VL of 2.3 million parameters with a tokenizer of its own: what `pretrain.sh` starts from.

With --trained it writes a trained checkpoint in 16 bits instead: what the repository keeps.

The tokenizer spells: one token a byte, so that digits are single tokens and a class name that the model never met is made of letters
that it knows. Only the fixed parts of a prompt are tokens of their own.

    python recipes/quickstart/make_model.py --out runs/pretrain/init
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2VLConfig, Qwen2VLForConditionalGeneration
from transformers.models.qwen2_vl import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

END = "<|im_end|>"
SPECIAL = tuple(
    f"<|{name}|>"
    for name in ("endoftext", "im_start", "im_end", "object_ref_start", "object_ref_end", "box_start", "box_end")
    + ("vision_start", "vision_end", "vision_pad", "image_pad", "video_pad")
)
CATEGORIES = "Detect every object of these categories: "
FIXED_TEXT = ("system\nYou are a helpful assistant.", "user\n", "assistant\n", CATEGORIES, ", ", "),(", "None")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in FIXED_TEXT])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token="<|endoftext|>", model_max_length=4096, clean_up_tokenization_spaces=False
    )


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> Qwen2VLForConditionalGeneration:
    names = ("im_end", "endoftext", "image_pad", "video_pad", "vision_start", "vision_end")
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in names}
    text = {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 5, "num_attention_heads": 4, "num_key_value_heads": 4}
    text |= {"vocab_size": len(tokenizer), "max_position_embeddings": 4096, "tie_word_embeddings": True}
    text |= {"bos_token_id": ids["endoftext"], "eos_token_id": ids["im_end"], "pad_token_id": ids["endoftext"]}
    text |= {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]}}
    vision = {"depth": 4, "embed_dim": 128, "hidden_size": 128, "num_heads": 4, "mlp_ratio": 4}
    vision |= {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=ids["im_end"], pad_token_id=ids["endoftext"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trained", type=Path, help="a checkpoint to write in 16 bits, instead of a new model")
    options = parser.parse_args()
    if options.trained:
        model = Qwen2VLForConditionalGeneration.from_pretrained(options.trained, dtype=torch.bfloat16)
        model.save_pretrained(options.out)
        Qwen2VLProcessor.from_pretrained(options.trained).save_pretrained(options.out)
        return
    tokenizer = make_tokenizer()
    model = make_model(tokenizer, options.seed)
    pixels = {"min_pixels": 56 * 56, "max_pixels": 112 * 112}
    processor = Qwen2VLProcessor(Qwen2VLImageProcessor(**pixels), tokenizer, Qwen2VLVideoProcessor(), chat_template=CHAT_TEMPLATE)
    model.save_pretrained(options.out)
    processor.save_pretrained(options.out)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(tokenizer)} tokens -> {options.out}")


if __name__ == "__main__":
    main()
