#!/usr/bin/env bash
# Task      detection, referring
# Model     Qwen/Qwen2.5-VL-7B-Instruct
# Method    LoRA on packed rows: several short ones in each sequence of max_length tokens
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Needs     flash-attn
# Note      rows of a pack do not see each other; an optimizer step now has more rows than batch size times accumulation
# Tiny      parsed: needs flash attention, a GPU
# shellcheck source=_large.sh
source "$(dirname "${BASH_SOURCE[0]}")/_large.sh"

MODEL=${MODEL:-Qwen/Qwen2.5-VL-7B-Instruct} # id or folder
export MIN_PIXELS=${MIN_PIXELS:-802816}  # 1,024 image tokens: Qwen advises 1,024 to 2,048 for grounding
export MAX_PIXELS=${MAX_PIXELS:-1605632} # 2,048 image tokens
gpus 1
need_package flash_attn flash-attn
fresh "$OUT"

# Packing needs each row's length first: rows are encoded before training (--lazy_tokenize false), and images are not cached.
step "fine-tune"
run swift sft --model "$MODEL" --model_type qwen2_5_vl --template qwen2_5_vl_grounding --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --val_dataset "$VAL" --packing true --lazy_tokenize false --dataset_num_proc 8 --attn_impl flash_attn \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 4 \
  --gradient_checkpointing true --max_length 8192 --eval_strategy epoch --save_strategy epoch --save_total_limit 2 --logging_steps 5 \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"
