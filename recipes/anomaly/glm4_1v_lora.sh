#!/usr/bin/env bash
# Task      anomaly detection in three stages: parts, marked scenes, bare scenes
# Model     ZhipuAI/GLM-4.1V-9B-Thinking
# Method    LoRA on the language model, one adapter through all stages
# Hardware  1 GPU or more
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@glm4v DATA=@anomaly GPUS=1
# Note      ms-swift does not restore --max_pixels from a checkpoint: give it again to inference
# shellcheck source=_anomaly.sh
source "$(dirname "${BASH_SOURCE[0]}")/_anomaly.sh"

MODEL=${MODEL:-ZhipuAI/GLM-4.1V-9B-Thinking} # folder or id of ModelScope; of Hugging Face, with USE_HF=1: zai-org/GLM-4.1V-9B-Thinking
MAX_PIXELS=${MAX_PIXELS:-1605632} # of an image before the model's own resize: 2,048 image tokens

for stage in $STAGES; do
  open_stage "$stage"
  train swift sft --model "$MODEL" --model_type glm4v --template glm4v_grounding --custom_register_path "$PLUGIN" \
    --dataset "$TRAIN" --val_dataset "$VAL" \
    --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
    --max_pixels "$MAX_PIXELS" \
    --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$STAGE_EPOCHS" \
    --per_device_train_batch_size 1 --gradient_accumulation_steps "$ACCUMULATE" --gradient_checkpointing true --max_length 8192 \
    --eval_strategy steps --eval_steps "$SAVE_STEPS" --save_steps "$SAVE_STEPS" --save_total_limit 2 --logging_steps 5 \
    --seed "$SEED" --ddp_timeout "$DDP_TIMEOUT" --dataloader_num_workers 4 --output_dir "$TO" --add_version false "$@"
done

merge
