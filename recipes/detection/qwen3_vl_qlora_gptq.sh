#!/usr/bin/env bash
# Task      detection, referring
# Model     a GPTQ-Int4 base of Qwen/Qwen3-VL-8B-Instruct, as `swift export --quant_method gptq` makes it
# Method    QLoRA on a GPTQ-Int4 base
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      parsed: a GPTQ base needs gptqmodel and a GPU
# Needs     gptqmodel optimum
# shellcheck source=_detection.sh
source "$(dirname "${BASH_SOURCE[0]}")/_detection.sh"

MODEL=${MODEL:-} # folder of the quantised base
EPOCHS=${EPOCHS:-3}
export MIN_PIXELS=${MIN_PIXELS:-1048576} # 1,024 image tokens: Qwen advises 1,024 to 2,048 for grounding
export MAX_PIXELS=${MAX_PIXELS:-2097152} # 2,048 image tokens
gpus 1
need_package gptqmodel gptqmodel
need_file MODEL 'Quantise a base first: swift export --model BASE --quant_method gptq --quant_bits 4 --dataset rows.jsonl --output_dir base'

step "fine-tune"
run swift sft --model "$MODEL" --model_type qwen3_vl --template qwen3_vl_grounding --custom_register_path "$PLUGIN" \
  --dataset "$TRAIN" --val_dataset "$VAL" \
  --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
  --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$EPOCHS" \
  --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --gradient_checkpointing true --max_length 8192 \
  --eval_strategy epoch --save_strategy epoch --save_total_limit 2 --logging_steps 5 \
  --predict_with_generate true --eval_metric coco_map --metric_for_best_model "$BEST" --max_new_tokens "$MAX_NEW_TOKENS" \
  --dataloader_num_workers 4 --output_dir "$OUT/train" --add_version false "$@"

score_adapter
