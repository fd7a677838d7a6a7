#!/usr/bin/env bash
# Task      detection, referring
# Model     florence-community/Florence-2-large-ft
# Method    LoRA on the language model
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@florence2
# Note      --model_type florence2 loads the checkpoints of transformers' own class, not those of microsoft/; one image per row, one question and answer
# shellcheck source=_detection.sh
MAX_NEW_TOKENS=${MAX_NEW_TOKENS:-1024} # of an answer; the decoder has 1,024 positions
source "$(dirname "${BASH_SOURCE[0]}")/_detection.sh"

MODEL=${MODEL:-florence-community/Florence-2-large-ft} # id or folder
EPOCHS=${EPOCHS:-3}
export USE_HF=${USE_HF:-1} # from Hugging Face; 0: from ModelScope
gpus 1

step "fine-tune"
run swift sft --model "$MODEL" --model_type florence2 --template florence2_grounding --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --val_dataset "$VAL" \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --gradient_checkpointing true --max_length 1024 \
  --eval_strategy epoch --save_strategy epoch --save_total_limit 2 --logging_steps 5 \
  --predict_with_generate true --eval_metric coco_map --metric_for_best_model "$BEST" --max_new_tokens "$MAX_NEW_TOKENS" \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"

score_adapter
