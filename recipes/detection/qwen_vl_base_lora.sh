#!/usr/bin/env bash
# Task      detection, referring
# Model     Qwen/Qwen-VL
# Method    LoRA on the language model; embedding and head trained in full
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@qwen_vl_base
# Note      the base model was never trained on <|im_start|> and <|im_end|>: embedding and head are trained, too; --template qwen_vl_base_grounding needs neither token
# shellcheck source=_detection.sh
MAX_NEW_TOKENS=${MAX_NEW_TOKENS:-1024} # of an answer; the model was trained on 2,048 tokens in all
source "$(dirname "${BASH_SOURCE[0]}")/_detection.sh"

MODEL=${MODEL:-Qwen/Qwen-VL} # id or folder
EPOCHS=${EPOCHS:-3}
gpus 1

step "fine-tune"
run swift sft --model "$MODEL" --model_type qwen_vl --template qwen_vl_grounding --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --val_dataset "$VAL" \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --modules_to_save wte lm_head \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --gradient_checkpointing true --max_length 2048 \
  --eval_strategy epoch --save_strategy epoch --save_total_limit 2 --logging_steps 5 \
  --predict_with_generate true --eval_metric coco_map --metric_for_best_model "$BEST" --max_new_tokens "$MAX_NEW_TOKENS" \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"

score_adapter
