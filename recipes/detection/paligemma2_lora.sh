#!/usr/bin/env bash
# Task      detection, referring
# Model     AI-ModelScope/paligemma2-3b-pt-448
# Method    LoRA on the language model
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@paligemma2
# Note      y comes before x and the label after its box; no points; Gemma 2 trains with eager attention
# shellcheck source=_detection.sh
source "$(dirname "${BASH_SOURCE[0]}")/_detection.sh"

MODEL=${MODEL:-AI-ModelScope/paligemma2-3b-pt-448} # folder or id of ModelScope; of Hugging Face, with USE_HF=1: google/paligemma2-3b-pt-448
EPOCHS=${EPOCHS:-3}
gpus 1

step "fine-tune"
run swift sft --model "$MODEL" --model_type paligemma --template paligemma_grounding --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --val_dataset "$VAL" \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --attn_impl eager \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --gradient_checkpointing true --max_length 4096 \
  --eval_strategy epoch --save_strategy epoch --save_total_limit 2 --logging_steps 5 \
  --predict_with_generate true --eval_metric coco_map --metric_for_best_model "$BEST" --max_new_tokens "$MAX_NEW_TOKENS" \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"

score_adapter
