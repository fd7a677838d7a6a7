#!/usr/bin/env bash
# ms-swift 4.6.0 encodes no image for HunyuanOCR and answers none with PaddleOCR-VL 1.5 under the newest transformers that it allows
#
# Versions    ms-swift 4.6.0, transformers 5.19.0, torch 2.14.1
# Input       tiny untrained models of both with their own processors in folders; a question with one image of 96x96 px
# Expected    inputs that the model takes, as transformers' own processor makes them
# Behaviour   ms-swift's template of HunyuanOCR asks the processor for `pad_id`, which it no longer has. That of PaddleOCR-VL 1.5 leaves
#             `mm_token_type_ids` out, without which the model now refuses images; in training it takes the features of images as one
#             tensor where transformers 5.19 gives a tuple: 'tuple' object has no attribute 'to'
source "$(dirname "$0")/_run.sh"
packages ms-swift==4.6.0 transformers==5.19.0 torch==2.14.1 torchvision==0.29.1 peft==0.20.0 pillow==12.3.0
seen=$(observe <<'PYTHON'
import torch
from PIL import Image
from swift.model import get_model_processor
from swift.template import get_template
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import HunYuanVLConfig, HunYuanVLForConditionalGeneration, PaddleOCRVLConfig, PaddleOCRVLForConditionalGeneration
from transformers import PreTrainedTokenizerFast
from transformers.models.hunyuan_vl import HunYuanVLImageProcessor, HunYuanVLProcessor
from transformers.models.paddleocr_vl import PaddleOCRVLImageProcessor, PaddleOCRVLProcessor

SIZE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4}
VISION = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}


def save(folder, model_cls, config_cls, processor_cls, images, marks, text, vision, ids):
    words = ["<pad>", "<eos>", "<bos>", *marks.values(), *sorted(pre_tokenizers.ByteLevel.alphabet())]
    spelling = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=[]))
    spelling.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    spelling.add_special_tokens([AddedToken(word, special=True) for word in words[: 3 + len(marks)]])
    tokens = PreTrainedTokenizerFast(
        tokenizer_object=spelling, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", extra_special_tokens=marks
    )
    numbers = {name: words.index(marks[mark]) for name, mark in ids.items()}
    text = {**SIZE, "head_dim": 16, "vocab_size": len(words), "pad_token_id": 0, **text}
    config = config_cls(text_config=text, vision_config={**VISION, **vision}, **numbers)
    config.architectures = [model_cls.__name__]
    torch.manual_seed(0)
    model_cls(config).save_pretrained(folder)
    processor_cls(images, tokens, chat_template="").save_pretrained(folder)


def rope(*section):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": list(section)}}


marks = {f"image_{edge}token": f"<｜hy_place▁holder▁no▁{number}｜>" for edge, number in (("start_", 100), ("end_", 101), ("", 102))}
ids = {"image_token_id": "image_token", "im_start_id": "image_start_token", "im_end_id": "image_end_token"}
hunyuan = (HunYuanVLForConditionalGeneration, HunYuanVLConfig, HunYuanVLProcessor, HunYuanVLImageProcessor(), marks, rope(2, 2, 2, 2))
save("hunyuan_ocr", *hunyuan, {"out_hidden_size": 64, "text_hidden_size": 64}, ids)
marks = {"image_token": "<|IMAGE_PLACEHOLDER|>", "start": "<|IMAGE_START|>", "end": "<|IMAGE_END|>"}
ids = {"image_token_id": "image_token", "vision_start_token_id": "start", "vision_end_token_id": "end"}
paddle = (PaddleOCRVLForConditionalGeneration, PaddleOCRVLConfig, PaddleOCRVLProcessor, PaddleOCRVLImageProcessor(), marks, rope(2, 3, 3))
save("paddleocr_vl", *paddle, {"image_size": 112}, ids)
image = Image.new("RGB", (96, 96), (200, 30, 90))
for name in ("hunyuan_ocr", "paddleocr_vl"):
    model, processor = get_model_processor(name, model_type=name, torch_dtype=torch.float32)
    template = get_template(processor)
    template.image_token_id = model.config.image_token_id
    template.set_mode("transformers")
    try:
        inputs = template.encode({"messages": [{"role": "user", "content": "<image>What is it?"}], "images": [image]})
        with torch.no_grad():
            model(**template.data_collator([inputs]))
        print(name, "answered")
    except (AttributeError, ValueError) as error:
        print(name, type(error).__name__, str(error).splitlines()[0][:96].rstrip())
PYTHON
)
verdict "hunyuan_ocr AttributeError TokenizersBackend has no attribute pad_id
paddleocr_vl ValueError Multimodal data was passed (via \`image_grid_thw\` or \`video_grid_thw\`) but \`mm_token_type_ids\` is" "$seen"
