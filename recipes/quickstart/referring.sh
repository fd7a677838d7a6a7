#!/usr/bin/env bash
# Task      referring: the box of a phrase (`the left star`), accuracy at IoU 0.5 before and after
# Model     recipes/quickstart/model, a Qwen2-VL of 2.3 million parameters (made by pretrain.sh)
# Method    LoRA on all linear layers
# Hardware  2 CPU cores, no GPU
# Memory    not measured
# Score     accuracy at IoU 0.5: 0.374 [0.320, 0.429] before, 0.823 [0.781, 0.864] after (265 phrases of 150 held-out images, greedy; 2026-11-29, 000db9b); time not measured
# Tiny      TRAIN=6 VAL=4 TEST=5 STEPS=2 EVERY=2
#
#   bash recipes/quickstart/referring.sh
#   STEPS=400 TRAIN=3000 OUT=/tmp/r bash recipes/quickstart/referring.sh --learning_rate 1e-3   # further options go to `swift sft`
OUT=${OUT:-$(dirname "${BASH_SOURCE[0]}")/../../runs/quickstart_referring}
# shellcheck source=../_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_run.sh"

HERE=$RECIPES/quickstart
MODEL=${MODEL:-$HERE/model}
TRAIN=${TRAIN:-1000} # images, each with one to three phrases
VAL=${VAL:-24}
TEST=${TEST:-150}
STEPS=${STEPS:-80}  # of training
EVERY=${EVERY:-80}  # steps between two evaluations

need swift python
fresh "$OUT"
export HF_HUB_OFFLINE=1

ON_CPU=(--torch_dtype float32 --attn_impl sdpa) # what a model this small wants anywhere
PREDICT=(--external_plugins "$PLUGIN" --temperature 0 --max_new_tokens 64 --max_batch_size 50)

step "draw images, describe each object by a phrase, and write swift rows"
seed=21
for part in "train $TRAIN" "val $VAL" "test $TEST"; do
  read -r name count <<< "$part"
  run python "$HERE/draw.py" toys --count "$count" --seed "$seed" --out "$OUT/data/$name"
  run python "$HERE/refer.py" "$OUT/data/$name/annotations.json" --split "$name" --out "$OUT/data/$name/toys"
  run groundswift convert refcoco "$OUT/data/$name/toys" --split "$name" --images "$OUT/data/$name/images" --out "$OUT/data/$name.jsonl"
  seed=$((seed + 1))
done

step "before: the base model on the phrases of $TEST held-out images"
run swift infer --model "$MODEL" --model_type qwen2_vl --template qwen2_vl_grounding "${PREDICT[@]}" "${ON_CPU[@]}" \
  --val_dataset "$OUT/data/test.jsonl" --result_path "$OUT/before.jsonl"
show groundswift eval referring "$OUT/before.jsonl" --rows "$OUT/data/test.jsonl" --images "$OUT/data/test/images" \
  --family qwen2_vl --out "$OUT/before"

step "fine-tune with LoRA: $STEPS steps"
run swift sft --model "$MODEL" --model_type qwen2_vl --template qwen2_vl_grounding --custom_register_path "$PLUGIN" \
  --dataset "$OUT/data/train.jsonl" --val_dataset "$OUT/data/val.jsonl" \
  --tuner_type lora --lora_rank 32 --lora_alpha 64 --target_modules all-linear --freeze_vit false --freeze_aligner false \
  --learning_rate 2e-3 --lr_scheduler_type cosine --warmup_ratio 0.05 --per_device_train_batch_size 16 --gradient_accumulation_steps 1 \
  --max_steps "$STEPS" --eval_strategy steps --eval_steps "$EVERY" --save_steps "$EVERY" --logging_steps 15 \
  --predict_with_generate true --eval_metric referring --metric_for_best_model acc_iou50 --per_device_eval_batch_size 48 \
  --max_new_tokens 64 --use_logits_to_keep true --gradient_checkpointing false --check_model false --fp16 false "${ON_CPU[@]}" \
  --output_dir "$OUT/lora" --add_version false --seed 1 "$@"

step "after: merge the adapter, and the same phrases"
CHECKPOINT=$OUT/lora/checkpoint-$STEPS
run swift infer --adapters "$CHECKPOINT" --merge_lora true "${PREDICT[@]}" \
  --val_dataset "$OUT/data/test.jsonl" --result_path "$OUT/after.jsonl"
show groundswift eval referring "$OUT/after.jsonl" --rows "$OUT/data/test.jsonl" --images "$OUT/data/test/images" \
  --family qwen2_vl --out "$OUT/after"

step "report"
show groundswift eval compare "$OUT/before" "$OUT/after" --names before,after --images "$OUT/data/test/images" \
  --title "groundswift quickstart: referring" --out "$OUT" --set seconds="$SECONDS"
printf '\nreport   %s\nsummary  %s\nlog      %s\n' "$OUT/report.html" "$OUT/summary.json" "$LOG"
