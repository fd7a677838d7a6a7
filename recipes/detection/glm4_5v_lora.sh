#!/usr/bin/env bash
# Task      detection, referring
# Model     ZhipuAI/GLM-4.5V, ZhipuAI/GLM-4.6V
# Method    LoRA on the language model, experts included
# Hardware  4 GPUs
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@glm4v_moe
# Note      the expert weights of 106 billion parameters refuse LoRA dropout, swift's default: --lora_dropout 0; layers are spread over the GPUs
# shellcheck source=_detection.sh
source "$(dirname "${BASH_SOURCE[0]}")/_detection.sh"

MODEL=${MODEL:-ZhipuAI/GLM-4.5V} # folder or id of ModelScope; of Hugging Face, with USE_HF=1: zai-org/GLM-4.5V
EPOCHS=${EPOCHS:-3}
MAX_PIXELS=${MAX_PIXELS:-1605632} # of an image before the model's own resize: 2,048 image tokens
gpus 4

step "fine-tune"
run swift sft --model "$MODEL" --model_type glm4v_moe --template glm4_5v_grounding --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --val_dataset "$VAL" \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --max_pixels "$MAX_PIXELS" --lora_dropout 0 \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --gradient_checkpointing true --max_length 8192 \
  --eval_strategy epoch --save_strategy epoch --save_total_limit 2 --logging_steps 5 \
  --predict_with_generate true --eval_metric coco_map --metric_for_best_model "$BEST" --max_new_tokens "$MAX_NEW_TOKENS" \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"

score_adapter --max_pixels "$MAX_PIXELS"
