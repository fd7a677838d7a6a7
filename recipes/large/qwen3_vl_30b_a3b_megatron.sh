#!/usr/bin/env bash
# Task      detection, referring
# Model     Qwen/Qwen3-VL-30B-A3B-Instruct
# Method    LoRA on language model and experts by Megatron-SWIFT, experts spread over the GPUs
# Hardware  4 GPUs
# Memory    not measured
# Score     not measured
# Needs     megatron-core, mcore-bridge, transformer-engine
# Note      OUT/train/checkpoint-N-merged is in the layout of transformers: swift infer --model reads it
# Tiny      parsed: needs Megatron-SWIFT (megatron-core, transformer-engine) and GPUs
# shellcheck source=_large.sh
source "$(dirname "${BASH_SOURCE[0]}")/_large.sh"

MODEL=${MODEL:-Qwen/Qwen3-VL-30B-A3B-Instruct} # id or folder
export MIN_PIXELS=${MIN_PIXELS:-1048576} # 1,024 image tokens: Qwen advises 1,024 to 2,048 for grounding
export MAX_PIXELS=${MAX_PIXELS:-2097152} # 2,048 image tokens
gpus 4
need_megatron
fresh "$OUT"

step "fine-tune"
run NPROC_PER_NODE="$GPUS" megatron sft --model "$MODEL" --model_type qwen3_vl_moe --template qwen3_vl_grounding --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --val_dataset "$VAL" \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --torch_dtype bfloat16 --lr 1e-4 --min_lr 1e-5 --lr_decay_style cosine --lr_warmup_fraction 0.05 --num_train_epochs "$EPOCHS" \
  --expert_model_parallel_size "$GPUS" --moe_grouped_gemm true --moe_permute_fusion true --moe_aux_loss_coeff 1e-6 \
  --recompute_granularity full --recompute_method uniform --recompute_num_layers 1 --attention_backend flash \
  --micro_batch_size 1 --global_batch_size 16 --packing true --max_length 8192 \
  --save_strategy epoch --save_total_limit 2 --save_safetensors true --logging_steps 5 --ddp_timeout 1800 \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"
