#!/usr/bin/env bash
# Task      detection
# Model     Qwen/Qwen2.5-VL-7B-Instruct
# Method    full with frozen ViT, zero3, over the machines of a hostfile by the launcher of DeepSpeed
# Hardware  2 machines of 8 GPUs, or those of HOSTFILE
# Memory    not measured
# Score     not measured
# Needs     deepspeed; start it on each machine, with its NODE_RANK and the same HOSTFILE, MASTER_ADDR and OUT, which all share; no ssh
# Note      if a machine is lost, the others stop within DDP_TIMEOUT seconds; start all again with RESUME=1
# Tiny      MODEL=@qwen2_5_vl HOSTFILE=@hostfile MASTER_PORT=29517 SAVE_STEPS=1 -- --torch_dtype bfloat16 --use_cpu true --attn_impl sdpa --check_model false --report_to none --dataloader_num_workers 0 --max_steps 2
# shellcheck source=_clusters.sh
source "$(dirname "${BASH_SOURCE[0]}")/_clusters.sh"

MODEL=${MODEL:-Qwen/Qwen2.5-VL-7B-Instruct} # id or folder
HOSTFILE=${HOSTFILE:-}                      # a line "NAME slots=GPUS" for each machine, machine 0 first
EPOCHS=${EPOCHS:-1}
SAVE_STEPS=${SAVE_STEPS:-200}            # at most these steps are lost with a machine
export MIN_PIXELS=${MIN_PIXELS:-802816}  # 1,024 image tokens: Qwen advises 1,024 to 2,048 for grounding
export MAX_PIXELS=${MAX_PIXELS:-1605632} # 2,048 image tokens
need_rows
need deepspeed
need_file HOSTFILE "Write a line for each machine: node1 slots=8"
[ -n "$DRY_RUN" ] || NNODES=$(grep -cE '^[[:space:]]*[^#[:space:]]+[[:space:]]+slots=[0-9]+' "$HOSTFILE") ||
  stop "$HOSTFILE: expected a line 'NAME slots=GPUS' for each machine"
join_machines
open_run

# swift's own launcher is torchrun; DeepSpeed's starts the module behind `swift sft`.
step "fine-tune on machine $NODE_RANK of $NNODES"
run deepspeed --hostfile "$HOSTFILE" --no_ssh --node_rank "$NODE_RANK" --master_addr "$MASTER_ADDR" --master_port "$MASTER_PORT" \
  --no_local_rank --module swift.cli.sft --model "$MODEL" --model_type qwen2_5_vl --template qwen2_5_vl_grounding \
  --custom_register_path "$PLUGIN" --dataset "$TRAIN" --val_dataset "$VAL" \
  --tuner_type full --freeze_vit true --freeze_aligner true --deepspeed zero3 \
  --torch_dtype bfloat16 --learning_rate 1e-5 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 1 --gradient_checkpointing true --max_length 8192 \
  --eval_strategy no --save_strategy steps --save_steps "$SAVE_STEPS" --save_total_limit 2 --logging_steps 5 \
  --ddp_timeout "$DDP_TIMEOUT" --dataloader_num_workers 4 --dataloader_persistent_workers false \
  --output_dir "$OUT/train" --add_version false "${RESUMED[@]}" "$@"
