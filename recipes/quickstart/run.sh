#!/usr/bin/env bash
# Task      detection: three classes on dark images that the model has never seen, COCO mAP before and after
# Model     recipes/quickstart/model, a Qwen2-VL of 2.3 million parameters (made by pretrain.sh)
# Method    LoRA on all linear layers
# Hardware  2 CPU cores, no GPU
# Memory    1.6 GB, the largest process (2026-11-20, fcc1f14)
# Score     AP 0.000 before, 0.711 after, 0.758 with scores from log-probabilities, in 113 s (200 held-out images, greedy, every score 1.0; 2026-11-30, 46ba4c0)
# Tiny      TRAIN=6 VAL=4 TEST=5 STEPS=2 EVERY=2
#
#   bash recipes/quickstart/run.sh                      # or: make quickstart
#   STEPS=600 OUT=/tmp/q bash recipes/quickstart/run.sh --learning_rate 1e-3   # further options go to `swift sft`
OUT=${OUT:-$(dirname "${BASH_SOURCE[0]}")/../../runs/quickstart}
# shellcheck source=../_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_run.sh"

HERE=$RECIPES/quickstart
MODEL=${MODEL:-$HERE/model}
TRAIN=${TRAIN:-3000} # images
VAL=${VAL:-48}
TEST=${TEST:-200}
STEPS=${STEPS:-280}  # of training
EVERY=${EVERY:-140}  # steps between two evaluations

need swift python
fresh "$OUT"
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # more threads of a model this small wait for each other where cores have other work

ON_CPU=(--torch_dtype float32 --attn_impl eager) # what a model this small wants anywhere: its rows are short
PREDICT=(--external_plugins "$PLUGIN" --temperature 0 --max_new_tokens 160 --max_batch_size 50)

# part NAME COUNT SEED: draw images and write swift rows.
part() {
  run python "$HERE/draw.py" night --count "$2" --seed "$3" --out "$OUT/data/$1"
  run groundswift convert coco "$OUT/data/$1/annotations.json" --images "$OUT/data/$1/images" --out "$OUT/data/$1.jsonl"
}

# scored NAME RESULT OPTION...: score the answers of a model.
scored() {
  show groundswift eval coco-map "$2" --gt "$OUT/data/test/annotations.json" --images "$OUT/data/test/images" \
    --family qwen2_vl --out "$OUT/$1" "${@:3}"
}

# before: the base model, without training.
before() {
  run swift infer --model "$MODEL" --model_type qwen2_vl --template qwen2_vl_grounding "${PREDICT[@]}" "${ON_CPU[@]}" \
    --val_dataset "$OUT/data/test.jsonl" --result_path "$OUT/before.jsonl"
  scored before "$OUT/before.jsonl"
}

# after: the scores of the trained model's answers, each box with confidence 1.
after() {
  scored after "$OUT/after.jsonl" --intervals
}

step "draw images and write swift rows"
part test "$TEST" 13
step "before: the base model on $TEST held-out images"
start before
step "draw the images to train on"
part train "$TRAIN" 11
part val "$VAL" 12

step "fine-tune with LoRA: $STEPS steps"
run swift sft --model "$MODEL" --model_type qwen2_vl --template qwen2_vl_grounding --custom_register_path "$PLUGIN" \
  --dataset "$OUT/data/train.jsonl" --val_dataset "$OUT/data/val.jsonl" \
  --tuner_type lora --lora_rank 32 --lora_alpha 64 --lora_dropout 0 --target_modules all-linear --freeze_vit false --freeze_aligner false \
  --learning_rate 2e-3 --lr_scheduler_type cosine --warmup_ratio 0.05 --per_device_train_batch_size 16 --gradient_accumulation_steps 1 \
  --max_steps "$STEPS" --eval_strategy steps --eval_steps "$EVERY" --save_steps "$EVERY" --logging_steps 15 \
  --predict_with_generate true --eval_metric coco_map --metric_for_best_model AP --per_device_eval_batch_size 48 --max_new_tokens 160 \
  --use_logits_to_keep true --gradient_checkpointing false --check_model false --fp16 false "${ON_CPU[@]}" --report_to none \
  --output_dir "$OUT/lora" --add_version false --seed 1 "$@"

step "after: merge the adapter, and the same held-out images"
CHECKPOINT=$OUT/lora/checkpoint-$STEPS
run swift infer --adapters "$CHECKPOINT" --merge_lora true "${PREDICT[@]}" --logprobs true \
  --val_dataset "$OUT/data/test.jsonl" --result_path "$OUT/after.jsonl"
start after
finish before

step "the same answers, the confidence of a box from its tokens"
scored after-logprob "$OUT/after.jsonl" --score logprob --intervals
finish after

step "report"
show groundswift eval compare "$OUT/before" "$OUT/after" --names before,after --images "$OUT/data/test/images" \
  --title "groundswift quickstart" --out "$OUT" --set seconds="$SECONDS"
printf '\nreport   %s\nsummary  %s\nlog      %s\n' "$OUT/report.html" "$OUT/summary.json" "$LOG"
