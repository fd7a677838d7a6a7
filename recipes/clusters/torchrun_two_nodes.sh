#!/usr/bin/env bash
# Task      detection
# Model     Qwen/Qwen2.5-VL-7B-Instruct
# Method    LoRA over several machines by torchrun; resumes after a lost machine
# Hardware  2 machines of 8 GPUs, or NNODES of them
# Memory    not measured
# Score     not measured
# Needs     start it on each machine, with its NODE_RANK and the same NNODES, MASTER_ADDR and OUT; OUT is a folder that all share
# Note      if a machine is lost, the others stop within DDP_TIMEOUT seconds; start all again with RESUME=1
# Tiny      MODEL=@qwen2_5_vl NNODES=1 NPROC_PER_NODE=2 SAVE_STEPS=1
# shellcheck source=_clusters.sh
source "$(dirname "${BASH_SOURCE[0]}")/_clusters.sh"

MODEL=${MODEL:-Qwen/Qwen2.5-VL-7B-Instruct} # id or folder
EPOCHS=${EPOCHS:-3}
MAX_NEW_TOKENS=${MAX_NEW_TOKENS:-2048} # of an answer
SAVE_STEPS=${SAVE_STEPS:-200}            # at most these steps are lost with a machine
export MIN_PIXELS=${MIN_PIXELS:-802816}  # 1,024 image tokens: Qwen advises 1,024 to 2,048 for grounding
export MAX_PIXELS=${MAX_PIXELS:-1605632} # 2,048 image tokens
need_rows
join_machines
open_run

# Without --dataloader_persistent_workers false a resumed run draws other dropout masks from the next epoch on than an uninterrupted one.
step "fine-tune on machine $NODE_RANK of $NNODES"
run swift sft --model "$MODEL" --model_type qwen2_5_vl --template qwen2_5_vl_grounding --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --val_dataset "$VAL" \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 1 --gradient_checkpointing true --max_length 8192 \
  --eval_strategy epoch --save_strategy steps --save_steps "$SAVE_STEPS" --save_total_limit 3 --logging_steps 5 \
  --predict_with_generate true --eval_metric coco_map --metric_for_best_model AP --max_new_tokens "$MAX_NEW_TOKENS" --per_device_eval_batch_size 4 \
  --ddp_timeout "$DDP_TIMEOUT" --dataloader_num_workers 4 --dataloader_persistent_workers false \
  --output_dir "$OUT/train" --add_version false "${RESUMED[@]}" "$@"
