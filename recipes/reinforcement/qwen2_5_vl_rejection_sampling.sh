#!/usr/bin/env bash
# Task      detection
# Model     Qwen/Qwen2.5-VL-7B-Instruct, fine-tuned by detection/qwen2_5_vl_lora.sh
# Method    rejection sampling: swift sample keeps the best answers by the detection reward, and LoRA trains on them
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter TRAIN=@prompts TEST=@test SAMPLES=4 MAX_NEW_TOKENS=96
# shellcheck source=_reinforcement.sh
source "$(dirname "${BASH_SOURCE[0]}")/_reinforcement.sh"

SAMPLES=${SAMPLES:-8}         # answers to each prompt
KEEP=${KEEP:-1}               # of them the best that are trained on, where their reward is above 0
ENGINE=${ENGINE:-transformers} # transformers or vllm
gpus 1
merge_tuned

step "sample $SAMPLES answers to each prompt, keep $KEEP by $REWARD"
run swift sample --model "$OUT/tuned" --model_type "$MODEL_TYPE" --template "$TEMPLATE" --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --orm_model "$REWARD" --num_return_sequences "$SAMPLES" --n_best_to_keep "$KEEP" --temperature 1.0 \
  --max_new_tokens "$MAX_NEW_TOKENS" --num_sampling_batch_size 4 --sampler_engine "$ENGINE" --output_dir "$OUT" --output_file sampled.jsonl
[ -n "$DRY_RUN" ] || [ -s "$OUT/sampled.jsonl" ] || stop "no sampled answer has a reward above 0: train the adapter longer first"

step "fine-tune on the answers that were kept"
run swift sft --model "$OUT/tuned" --model_type "$MODEL_TYPE" --template "$TEMPLATE" --custom_register_path "$PLUGIN" \
  --dataset "$OUT/sampled.jsonl" --split_dataset_ratio 0 \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --torch_dtype bfloat16 --learning_rate 2e-5 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --gradient_checkpointing true --max_length 8192 \
  --save_strategy epoch --save_total_limit 2 --logging_steps 5 \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"

score_trained
