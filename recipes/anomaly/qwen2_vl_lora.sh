#!/usr/bin/env bash
# Task      anomaly detection in three stages: parts, marked scenes, bare scenes
# Model     Qwen/Qwen2-VL-7B-Instruct
# Method    LoRA on the language model, one adapter through all stages
# Hardware  1 GPU or more
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@qwen2_vl DATA=@anomaly GPUS=1
# shellcheck source=_anomaly.sh
source "$(dirname "${BASH_SOURCE[0]}")/_anomaly.sh"

MODEL=${MODEL:-Qwen/Qwen2-VL-7B-Instruct} # id or folder
export MIN_PIXELS=${MIN_PIXELS:-200704}  # 256 image tokens
export MAX_PIXELS=${MAX_PIXELS:-1605632} # 2,048 image tokens

for stage in $STAGES; do
  open_stage "$stage"
  train swift sft --model "$MODEL" --model_type qwen2_vl --template qwen2_vl_grounding --custom_register_path "$PLUGIN" \
    --dataset "$TRAIN" --val_dataset "$VAL" \
    --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
    --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$STAGE_EPOCHS" \
    --per_device_train_batch_size 1 --gradient_accumulation_steps "$ACCUMULATE" --gradient_checkpointing true --max_length 8192 \
    --eval_strategy steps --eval_steps "$SAVE_STEPS" --save_steps "$SAVE_STEPS" --save_total_limit 2 --logging_steps 5 \
    --seed "$SEED" --ddp_timeout "$DDP_TIMEOUT" --dataloader_num_workers 4 --output_dir "$TO" --add_version false "$@"
done

merge
