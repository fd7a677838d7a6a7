#!/usr/bin/env bash
# Task      detection, referring
# Model     LLM-Research/Phi-3.5-vision-instruct
# Method    LoRA on the language model
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@phi3_vision
# Note      its published code does not generate since transformers 4.49 (huggingface/transformers#36071): tested with a stand-in only; no grounding before training
# shellcheck source=_detection.sh
source "$(dirname "${BASH_SOURCE[0]}")/_detection.sh"

MODEL=${MODEL:-LLM-Research/Phi-3.5-vision-instruct} # folder or id of ModelScope; of Hugging Face, with USE_HF=1: microsoft/Phi-3.5-vision-instruct
EPOCHS=${EPOCHS:-3}
export NUM_CROPS=${NUM_CROPS:-4} # tiles of an image
gpus 1

step "fine-tune"
run swift sft --model "$MODEL" --model_type phi3_vision --template phi3_vision_grounding --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --val_dataset "$VAL" \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --gradient_checkpointing true --max_length 4096 \
  --eval_strategy epoch --save_strategy epoch --save_total_limit 2 --logging_steps 5 \
  --predict_with_generate true --eval_metric coco_map --metric_for_best_model "$BEST" --max_new_tokens "$MAX_NEW_TOKENS" \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"

score_adapter
