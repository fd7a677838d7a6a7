#!/usr/bin/env bash
# Task      detection, referring
# Model     OpenBMB/MiniCPM-V-4_5
# Method    LoRA on the language model
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@minicpmv4_5
# Needs     timm, decord
# Note      numbers of a box are separated by spaces, not commas; its code comes with the weights: tested with a stand-in only
# shellcheck source=_detection.sh
source "$(dirname "${BASH_SOURCE[0]}")/_detection.sh"

MODEL=${MODEL:-OpenBMB/MiniCPM-V-4_5} # folder or id of ModelScope; of Hugging Face, with USE_HF=1: openbmb/MiniCPM-V-4_5
EPOCHS=${EPOCHS:-3}
export MAX_SLICE_NUMS=${MAX_SLICE_NUMS:-9} # slices of an image, 64 tokens each
gpus 1

step "fine-tune"
run swift sft --model "$MODEL" --model_type minicpmv4_5 --template minicpmv4_5_grounding --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --val_dataset "$VAL" \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --gradient_checkpointing true --max_length 4096 \
  --eval_strategy epoch --save_strategy epoch --save_total_limit 2 --logging_steps 5 \
  --predict_with_generate true --eval_metric coco_map --metric_for_best_model "$BEST" --max_new_tokens "$MAX_NEW_TOKENS" \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"

score_adapter
