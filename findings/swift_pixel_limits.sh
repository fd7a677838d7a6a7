#!/usr/bin/env bash
# ms-swift 4.6.0 ignores MAX_PIXELS for dots.ocr and MiMo-V2.5 unless a Qwen model was loaded before, and resizes twice by a row's own limit
#
# Versions    ms-swift 4.6.0, qwen-vl-utils 0.0.14, transformers 5.19.0, torch 2.14.1
# Input       the image processor of Qwen2-VL, which dots.ocr uses, and the same with patches of 16 px; an image of 640x480 px; MAX_PIXELS=50176,
#             then a row whose chat_template_kwargs hold max_pixels 20480
# Expected    at most 50176 px for every model that is resized by qwen-vl-utils, whatever was loaded before; for the row 160x96 px, as
#             transformers, qwen-vl-utils and swift's template of Qwen3-VL give it
# Behaviour   only the loaders of Qwen and Keye pass the environment to qwen-vl-utils, once a process: dots.ocr and MiMo-V2.5 see the whole
#             image, and a smaller one after a Qwen model. swift's base template, whose rule only Qwen's overrides, shrinks the image to the
#             row's limit first, as --max_pixels does (165x123 px); MiMo-V2.5 rounds that to 160x128 px, not what the limit alone gives
source "$(dirname "$0")/_run.sh"
packages ms-swift==4.6.0 qwen-vl-utils==0.0.14 transformers==5.19.0 torch==2.14.1 torchvision==0.29.1 peft==0.20.0 pillow==12.3.0
seen=$(observe <<'PYTHON'
import os

from PIL import Image
from qwen_vl_utils import fetch_image
from swift.model import get_model_processor
from swift.template import StdTemplateInputs, get_template
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2VLConfig, Qwen2VLImageProcessor, Qwen2VLProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

words = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
words += sorted(pre_tokenizers.ByteLevel.alphabet())
spelling = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=[]))
spelling.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
spelling.add_special_tokens([AddedToken(word, special=True) for word in words[:7]])
tokenizer = PreTrainedTokenizerFast(tokenizer_object=spelling, eos_token="<|im_end|>", pad_token="<|endoftext|>")
image = Image.new("RGB", (640, 480), (200, 30, 90))
for patch in (14, 16):
    processor = Qwen2VLProcessor(Qwen2VLImageProcessor(patch_size=patch), tokenizer, Qwen2VLVideoProcessor(), chat_template="")
    processor.save_pretrained(f"patches_of_{patch}")
    Qwen2VLConfig().save_pretrained(f"patches_of_{patch}")


def template_of(name, patch):
    _, processor = get_model_processor(f"patches_of_{patch}", model_type=name, load_model=False)
    template = get_template(processor, template_type=name)
    template.image_token_id = words.index("<|image_pad|>")
    return template


def shown(by, grid):
    _, height, width = grid[0].tolist()
    print("limit of a row,", by, f"{width * 16}x{height * 16}")


os.environ["MAX_PIXELS"] = "50176"
for name, patch in (("dots_ocr", 14), ("mimo_v2", 16), ("qwen2_vl", 14), ("dots_ocr", 14), ("mimo_v2", 16)):
    inputs = StdTemplateInputs([{"role": "user", "content": "<image>What is it?"}], images=[image])
    template_of(name, patch).replace_tag("image", 0, inputs)
    print("MAX_PIXELS=50176,", name, "{}x{}".format(*inputs.images[0].size))
size = {"shortest_edge": 4096, "longest_edge": 20480}
shown("transformers", Qwen2VLImageProcessor(patch_size=16)(image, size=size, return_tensors="pt")["image_grid_thw"])
print("limit of a row, qwen-vl-utils", "{}x{}".format(*fetch_image({"image": image, "max_pixels": 20480}, image_patch_size=16).size))
for name in ("qwen3_vl", "mimo_v2"):
    row = {"messages": [{"role": "user", "content": "<image>What is it?"}], "images": [image], "chat_template_kwargs": {"max_pixels": 20480}}
    shown(name, template_of(name, 16).encode(row)["image_grid_thw"])
PYTHON
)
verdict "MAX_PIXELS=50176, dots_ocr 644x476
MAX_PIXELS=50176, mimo_v2 640x480
MAX_PIXELS=50176, qwen2_vl 252x168
MAX_PIXELS=50176, dots_ocr 252x168
MAX_PIXELS=50176, mimo_v2 288x192
limit of a row, transformers 160x96
limit of a row, qwen-vl-utils 160x96
limit of a row, qwen3_vl 160x96
limit of a row, mimo_v2 160x128" "$seen"
