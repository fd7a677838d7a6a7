#!/usr/bin/env bash
# Task      unified grounding: referring, describing, grounded captions and the reverse, points
# Model     Qwen/Qwen2.5-VL-7B-Instruct
# Method    LoRA on the language model and the aligner
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@qwen2_5_vl DATA=@unified VAL=@referring ROWS=16
# shellcheck source=_unified.sh
source "$(dirname "${BASH_SOURCE[0]}")/_unified.sh"

MODEL=${MODEL:-Qwen/Qwen2.5-VL-7B-Instruct} # id or folder
export MIN_PIXELS=${MIN_PIXELS:-802816}  # 1,024 image tokens: Qwen advises 1,024 to 2,048 for grounding
export MAX_PIXELS=${MAX_PIXELS:-1605632} # 2,048 image tokens
gpus 1

step "fine-tune"
run swift sft --model "$MODEL" --model_type qwen2_5_vl --template qwen2_5_vl_grounding --custom_register_path "$PLUGIN" \
  --dataset "$OUT/train.jsonl" --val_dataset "$VAL" \
  --tuner_type lora --lora_rank 64 --lora_alpha 128 --target_modules all-linear --freeze_vit true --freeze_aligner false \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.03 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 2 --gradient_accumulation_steps 16 --gradient_checkpointing true --max_length 4096 \
  --eval_strategy steps --eval_steps 0.2 --save_steps 0.2 --save_total_limit 2 --logging_steps 10 \
  --predict_with_generate true --eval_metric coco_map --metric_for_best_model acc_iou50 --max_new_tokens "$MAX_NEW_TOKENS" \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"

score_adapter
