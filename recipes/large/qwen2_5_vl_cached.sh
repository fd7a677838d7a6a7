#!/usr/bin/env bash
# Task      detection, referring
# Model     Qwen/Qwen2.5-VL-7B-Instruct
# Method    LoRA on rows that are tokenized once and kept in a folder
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@qwen2_5_vl
# shellcheck source=_large.sh
source "$(dirname "${BASH_SOURCE[0]}")/_large.sh"

MODEL=${MODEL:-Qwen/Qwen2.5-VL-7B-Instruct} # id or folder
export MIN_PIXELS=${MIN_PIXELS:-802816}  # 1,024 image tokens: Qwen advises 1,024 to 2,048 for grounding
export MAX_PIXELS=${MAX_PIXELS:-1605632} # 2,048 image tokens
gpus 1
CACHE=${CACHE:-$OUT/cached} # tokenized rows, for this model, template and pixel limits alone; made if it does not exist
fresh "$OUT"

if [ ! -e "$CACHE/train" ]; then
  step "tokenize once"
  run swift export --model "$MODEL" --model_type qwen2_5_vl --template qwen2_5_vl_grounding --custom_register_path "$PLUGIN" \
    --to_cached_dataset true --dataset "$TRAIN" --val_dataset "$VAL" --max_length 8192 --output_dir "$CACHE"
fi

step "fine-tune"
run swift sft --model "$MODEL" --model_type qwen2_5_vl --template qwen2_5_vl_grounding --custom_register_path "$PLUGIN" \
  --cached_dataset "$CACHE/train" --cached_val_dataset "$CACHE/val" \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 16 \
  --gradient_checkpointing true --max_length 8192 --eval_strategy epoch --save_strategy epoch --save_total_limit 2 --logging_steps 5 \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"
