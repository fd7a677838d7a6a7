#!/usr/bin/env bash
# ms-swift 4.6.0 loads Gemma 4 and answers text, but no image, under the newest transformers that it allows
#
# Versions    ms-swift 4.6.0, transformers 5.19.0, torch 2.14.1
# Input       a tiny untrained Gemma 4 with its own processor in a folder; a question with one image of 96x96 px, and one without
# Expected    logits for both, as transformers itself gives them
# Behaviour   ms-swift replaces the model's forward by a copy that was written for transformers 5.6.2, in which the features of all images are
#             one tensor. transformers 5.19 returns a tuple, one tensor per image: 'tuple' object has no attribute 'to', in training and inference
source "$(dirname "$0")/_run.sh"
packages ms-swift==4.6.0 transformers==5.19.0 torch==2.14.1 torchvision==0.29.1 peft==0.20.0 pillow==12.3.0
seen=$(observe <<'PYTHON'
import torch
from PIL import Image
from swift.model import get_model_processor
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import Gemma4Config, Gemma4ForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.gemma4 import Gemma4AudioFeatureExtractor, Gemma4ImageProcessor, Gemma4Processor
from transformers.models.gemma4.video_processing_gemma4 import Gemma4VideoProcessor

marks = {"boi_token": "<|image>", "eoi_token": "<image|>", "image_token": "<|image|>"}
marks |= {"boa_token": "<|audio>", "eoa_token": "<audio|>", "audio_token": "<|audio|>"}
words = ["<pad>", "<eos>", "<bos>", "<|video|>", *marks.values(), *sorted(pre_tokenizers.ByteLevel.alphabet())]
spelling = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=[]))
spelling.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
spelling.add_special_tokens([AddedToken(word, special=True) for word in words[:10]])
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=spelling, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", extra_special_tokens=marks
)
size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 16}
layers = {"layer_types": ["sliding_attention", "full_attention"], "global_head_dim": 16, "hidden_size_per_layer_input": 8}
config = Gemma4Config(
    text_config={**size, **layers, "vocab_size": len(words), "vocab_size_per_layer_input": len(words)},
    vision_config={**size, "position_embedding_size": 64},
    audio_config=None,
    **{name: words.index(word) for name, word in (("image_token_id", "<|image|>"), ("video_token_id", "<|video|>"))},
    **{name: words.index(word) for name, word in (("audio_token_id", "<|audio|>"), ("boi_token_id", "<|image>"))},
    **{name: words.index(word) for name, word in (("eoi_token_id", "<image|>"), ("boa_token_id", "<|audio>"))},
    eoa_token_index=words.index("<audio|>"),
)
config.architectures = ["Gemma4ForConditionalGeneration"]
torch.manual_seed(0)
Gemma4ForConditionalGeneration(config).save_pretrained("model")
processor = Gemma4Processor(Gemma4AudioFeatureExtractor(), Gemma4ImageProcessor(), tokenizer, Gemma4VideoProcessor(), chat_template="")
processor.save_pretrained("model")
with_image = processor(text="<|image|>What is it?", images=Image.new("RGB", (96, 96), (200, 30, 90)), return_tensors="pt")
without = processor(text="What is it?", return_tensors="pt")
loaded = {
    "transformers": Gemma4ForConditionalGeneration.from_pretrained("model", dtype=torch.float32),
    "ms-swift": get_model_processor("model", model_type="gemma4", torch_dtype=torch.float32)[0],
}
for by, model in loaded.items():
    for name, inputs in (("text", without), ("image", with_image)):
        try:
            with torch.no_grad():
                print(by, name, "logits", bool(model(**inputs).logits.isfinite().all()))
        except AttributeError as error:
            print(by, name, error)
PYTHON
)
verdict "transformers text logits True
transformers image logits True
ms-swift text logits True
ms-swift image 'tuple' object has no attribute 'to'" "$seen"
