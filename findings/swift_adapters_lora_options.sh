#!/usr/bin/env bash
# swift sft --adapters ignores --lora_rank, --lora_alpha and --target_modules silently, and writes the ignored values to args.json
#
# Versions    ms-swift 4.6.0, peft 0.20.0, transformers 5.19.0, torch 2.14.1
# Input       a tiny untrained Qwen2 in a folder; one step with rank 4 on q_proj, then one from its checkpoint with rank 16 on q_proj and v_proj
# Expected    an adapter of rank 16, or a line that says that the options of the command are not used
# Behaviour   the adapter of the checkpoint is loaded with its own configuration and trained on; no warning names LoRA. The args.json of the
#             new checkpoint has the options of the command, so it contradicts the adapter_config.json next to it
source "$(dirname "$0")/_run.sh"
packages ms-swift==4.6.0 transformers==5.19.0 torch==2.14.1 torchvision==0.29.1 peft==0.20.0 pillow==12.3.0
seen=$(observe <<'PYTHON'
import json
import subprocess
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

words = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
spelling = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=[]))
spelling.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
spelling.add_special_tokens([AddedToken(word, special=True) for word in words[:3]])
tokenizer = PreTrainedTokenizerFast(tokenizer_object=spelling, eos_token="<|im_end|>", pad_token="<|endoftext|>")
tokenizer.save_pretrained("model")
size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4}
Qwen2ForCausalLM(Qwen2Config(vocab_size=len(words), **size)).save_pretrained("model")
row = {"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "a cat"}]}
Path("rows.jsonl").write_text(f"{json.dumps(row)}\n" * 8, encoding="utf-8")


def train(folder, *options):
    """Train one step and print what was trained, what args.json says of it, and what the log says of both."""
    command = [str(Path(sys.executable).with_name("swift")), "sft", "--model", "model", "--model_type", "qwen2", "--template", "qwen"]
    command += ["--dataset", "rows.jsonl", "--split_dataset_ratio", "0", "--tuner_type", "lora", "--max_steps", "1", "--use_cpu", "true"]
    command += ["--torch_dtype", "float32", "--add_version", "false", "--output_dir", folder, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(done.stdout[-3000:])
    checkpoint = Path(folder, "checkpoint-1")
    lora = json.loads((checkpoint / "adapter_config.json").read_text())
    args = json.loads((checkpoint / "args.json").read_text())
    print(folder, "trained", lora["r"], lora["lora_alpha"], *sorted(lora["target_modules"]))
    print(folder, "args.json", args["lora_rank"], args["lora_alpha"], *args["target_modules"])
    print(folder, "warnings", *[line for line in done.stdout.splitlines() if "WARNING" in line and "lora" in line.lower()])


train("first", "--lora_rank", "4", "--lora_alpha", "8", "--target_modules", "q_proj")
train("second", "--adapters", "first/checkpoint-1", "--lora_rank", "16", "--lora_alpha", "64", "--target_modules", "q_proj", "v_proj")
PYTHON
)
verdict "first trained 4 8.0 q_proj
first args.json 4 8.0 q_proj
first warnings
second trained 4 8.0 q_proj
second args.json 16 64.0 q_proj v_proj
second warnings" "$seen"
