#!/usr/bin/env bash
# Task      detection, from scratch: makes the model that the quickstart fine-tunes (it stands in recipes/quickstart/model)
# Model     a Qwen2-VL of 2.3 million parameters, random weights
# Hardware  2 CPU cores, no GPU
# Memory    not measured
# Score     not measured
source "$(dirname "${BASH_SOURCE[0]}")/../_run.sh"

HERE=$RECIPES/quickstart
OUT=${OUT:-runs/pretrain}
MODEL=${MODEL:-$HERE/model}
TRAIN=${TRAIN:-60000} TEST=${TEST:-300} # images
STEPS=${STEPS:-5000}
LOG=$OUT/log.txt

need swift groundswift python
PLUGIN=$(groundswift plugin)
rm -rf "$OUT" && mkdir -p "$OUT"
export HF_HUB_OFFLINE=1

step "draw pictures and write swift rows"
seed=1
for part in "train $TRAIN" "test $TEST"; do
  read -r name count <<< "$part"
  run "$LOG" python "$HERE/draw.py" shapes --count "$count" --seed "$seed" --out "$OUT/data/$name"
  run "$LOG" groundswift convert coco "$OUT/data/$name/annotations.json" --images "$OUT/data/$name/images" --out "$OUT/data/$name.jsonl"
  seed=$((seed + 1))
done

step "train from random weights: $STEPS steps"
run "$LOG" python "$HERE/make_model.py" --out "$OUT/init"
run "$LOG" swift sft --model "$OUT/init" --model_type qwen2_vl --template qwen2_vl_grounding --custom_register_path "$PLUGIN" \
  --dataset "$OUT/data/train.jsonl" --split_dataset_ratio 0 \
  --tuner_type full --freeze_llm false --freeze_vit false --freeze_aligner false \
  --learning_rate 1e-3 --lr_scheduler_type cosine --warmup_ratio 0.03 --weight_decay 0.05 \
  --per_device_train_batch_size 32 --gradient_accumulation_steps 1 --max_steps "$STEPS" --save_steps 1000 --save_only_model true \
  --logging_steps 50 --use_logits_to_keep true --gradient_checkpointing false --check_model false \
  --torch_dtype float32 --fp16 false --attn_impl sdpa --output_dir "$OUT/full" --add_version false --seed 1 "$@"

step "keep the weights in 16 bits"
run "$LOG" python "$HERE/make_model.py" --trained "$OUT/full/checkpoint-$STEPS" --out "$MODEL"

step "score on $TEST held-out pictures"
run "$LOG" swift infer --model "$MODEL" --model_type qwen2_vl --template qwen2_vl_grounding --custom_register_path "$PLUGIN" \
  --torch_dtype float32 --attn_impl sdpa --temperature 0 --max_new_tokens 160 --max_batch_size 50 \
  --val_dataset "$OUT/data/test.jsonl" --result_path "$OUT/test.result.jsonl"
groundswift eval coco-map "$OUT/test.result.jsonl" --gt "$OUT/data/test/annotations.json" --images "$OUT/data/test/images" \
  --family qwen2_vl --out "$OUT/test"
