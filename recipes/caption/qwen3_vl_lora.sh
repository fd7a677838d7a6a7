#!/usr/bin/env bash
# Task      captions of images
# Model     Qwen/Qwen3-VL-8B-Instruct
# Method    LoRA on the language model
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@qwen3_vl GROUNDSWIFT_HUB=@hub DATASET=coco-en-mini#12
# Needs     jieba pycocoevalcap
# shellcheck source=../_text_answers.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_text_answers.sh"

MODEL=${MODEL:-Qwen/Qwen3-VL-8B-Instruct} # id or folder
DATASET=${DATASET:-coco-en-mini#20000} # a name of swift or groundswift, or a file of rows
export MAX_PIXELS=${MAX_PIXELS:-602112}
gpus 1

step "fine-tune"
run swift sft --model "$MODEL" --model_type qwen3_vl --template qwen3_vl_grounding --custom_register_path "$PLUGIN" \
  --dataset "$DATASET" --split_dataset_ratio 0.01 --data_seed 42 \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --gradient_checkpointing true --max_length 4096 \
  --eval_strategy epoch --save_strategy epoch --save_total_limit 2 --logging_steps 5 \
  --predict_with_generate true --eval_metric nlg --metric_for_best_model rouge-l --max_new_tokens "$MAX_NEW_TOKENS" \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"

score_adapter
