#!/usr/bin/env bash
# Task      detection
# Model     Qwen/Qwen2.5-VL-7B-Instruct, fine-tuned by detection/qwen2_5_vl_lora.sh
# Method    GRPO with a detection reward, LoRA on the language model
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter TRAIN=@prompts TEST=@test GENERATIONS=4
# shellcheck source=_reinforcement.sh
source "$(dirname "${BASH_SOURCE[0]}")/_reinforcement.sh"

GENERATIONS=${GENERATIONS:-8} # answers to each prompt
VLLM=${VLLM:-false}           # true: vLLM generates the answers, on the same GPU
gpus 1
generate=(--use_vllm false)
[ "$VLLM" != true ] || generate=(--use_vllm true --vllm_mode colocate)
merge_tuned

step "GRPO, reward $REWARD"
run swift rlhf --rlhf_type grpo --model "$OUT/tuned" --model_type "$MODEL_TYPE" --template "$TEMPLATE" --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --reward_funcs "$REWARD" --num_generations "$GENERATIONS" --temperature 1.0 --beta 0.04 \
  --max_completion_length "$MAX_NEW_TOKENS" --max_length 8192 "${generate[@]}" \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --torch_dtype bfloat16 --learning_rate 1e-5 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 4 --gradient_accumulation_steps 4 --gradient_checkpointing true \
  --eval_strategy no --save_strategy epoch --save_total_limit 2 --logging_steps 1 --log_completions true \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"

score_trained
