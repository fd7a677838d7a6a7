#!/usr/bin/env bash
# Task      anomaly detection from labels to a camera: three stages of data, a server's answers, training, inference, report, watch
# Model     recipes/quickstart/model, a Qwen2-VL of 2.3 million parameters
# Method    LoRA on all linear layers, one adapter through all stages
# Hardware  2 CPU cores, no GPU
# Memory    1.6 GB, the largest process (2026-11-30, 1d65710)
# Score     box F1 0.769 before, 0.857 after; choices 0.096 and 0.444, by the judge 0 and 0.444; the alarm after 0.6 s; 3 min 29 s, 180 s of CPU time (208 held-out rows; 2026-11-30, ba101e2)
# Tiny      FRAMES=16 VIDEOS=8 STEPS=2 JUDGE_STEPS=100 ASKED=2 PARTS="train=0.5 val=0.25 test=0.25" --
# Note      the drawn bench has triangles, squares and rings; the rings are the anomaly. The same command continues after a kill
#
#   bash recipes/anomaly/demo.sh                # or: make anomaly-demo
#   STEPS=300 OUT=/tmp/a bash recipes/anomaly/demo.sh --learning_rate 1e-3   # further options go to `swift sft`
OUT=${OUT:-$(dirname "${BASH_SOURCE[0]}")/../../runs/anomaly-demo}
# shellcheck source=../_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_run.sh"

MODEL=${MODEL:-$RECIPES/quickstart/model} # a folder
FRAMES=${FRAMES:-160} # drawn frames
VIDEOS=${VIDEOS:-16}  # that they are of
PARTS=${PARTS:-train=0.7 val=0.1 test=0.2} # of the frames
STEPS=${STEPS:-60}    # of each stage
ASKED=${ASKED:-12}    # frames that a served model is asked about; 0: none
JUDGE_STEPS=${JUDGE_STEPS:-150} # of the training of the judge
UNTIL=${UNTIL:-watch} # data: stop when the rows are made
SEED=${SEED:-0}
PORT=${PORT:-8643}    # of the servers that judge, and that `watch` asks
WAIT=${WAIT:-300}     # seconds that it may take to load

need swift groundswift python flock
need_package av 'groundswift[watch]'
need_package openai 'groundswift[text-eval]'
reopen "$OUT"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # threads of a model this small wait for each other, above all where the cores have other work
export HF_HUB_OFFLINE=1 CUDA_VISIBLE_DEVICES='' MIN_PIXELS=3136 MAX_PIXELS=12544 # 4 to 16 image tokens
SERVED=(--model_type qwen2_vl --template qwen2_vl_grounding --custom_register_path "$PLUGIN")
ON_CPU=(--torch_dtype float32 --fp16 false --attn_impl sdpa --gradient_checkpointing false --check_model false --report_to none
  --use_logits_to_keep true --dataloader_num_workers 0)
QUESTION="Locate every anomaly of these kinds: ring."

# once FILE COMMAND...: run a command that writes FILE whole or not at all, unless FILE is there.
once() {
  local made=$1
  shift
  if [ -n "$DRY_RUN" ] || [ ! -e "$made" ]; then show "$@"; else echo "made before: $made"; fi
}

# same_settings TEXT: refuse a run that was begun with other settings.
same_settings() {
  [ -z "$DRY_RUN" ] || return 0
  [ -e "$OUT/settings.txt" ] || echo "$1" > "$OUT/settings.txt"
  [ "$(cat "$OUT/settings.txt")" = "$1" ] ||
    stop "$OUT was begun with $(cat "$OUT/settings.txt"); now $1. Give a new folder: OUT=..., or remove the earlier run: OVERWRITE=1"
}

same_settings "FRAMES=$FRAMES VIDEOS=$VIDEOS PARTS=$PARTS STEPS=$STEPS ASKED=$ASKED JUDGE_STEPS=$JUDGE_STEPS SEED=$SEED options=$*"
BENCH=$OUT/bench/data.yaml
READ=("$BENCH" --seed "$SEED" --resume)
step "draw a bench: $FRAMES frames of $VIDEOS videos with YOLO labels, and a clip"
once "$BENCH" python "$RECIPES/anomaly/draw_bench.py" --frames "$FRAMES" --videos "$VIDEOS" --seed "$SEED" --out "$OUT/bench"

step "three stages of data from the labels"
once "$OUT/local.jsonl" groundswift anomaly crop "${READ[@]}" --answers ab --save-images "$OUT/local" --out "$OUT/local.jsonl"
once "$OUT/marked.jsonl" groundswift anomaly draw "${READ[@]}" --anomaly ring --answers ab --save-images "$OUT/marked" \
  --out "$OUT/marked.jsonl"
once "$OUT/located.jsonl" groundswift anomaly locate "${READ[@]}" --anomaly ring --out "$OUT/located.jsonl"

ROWS=("$OUT/local.jsonl" "$OUT/marked.jsonl" "$OUT/located.jsonl")
if [ "$ASKED" -gt 0 ]; then
  step "ask a model on this machine about $ASKED frames; its answers as a table for people, and back"
  [ -n "$DRY_RUN" ] || echo "Detect all objects in the image." > "$OUT/prompt.txt"
  once "$OUT/bare.requests.jsonl" groundswift anomaly describe "${READ[@]}" --anomaly ring --prompt-file "$OUT/prompt.txt" --limit "$ASKED" \
    --out "$OUT/bare.requests.jsonl"
  once "$OUT/asked.jsonl" groundswift anomaly ask "$OUT/bare.requests.jsonl" --serve "$MODEL" --question "Which objects are where?" \
    --field max_tokens=160 --out "$OUT/asked.jsonl" -- "${SERVED[@]}"
  once "$OUT/asked.csv" groundswift anomaly table "$OUT/asked.jsonl" --out "$OUT/asked.csv" --bom
  once "$OUT/described.jsonl" groundswift anomaly table "$OUT/asked.csv" --out "$OUT/described.jsonl"
  ROWS+=("$OUT/described.jsonl")
fi

step "the same questions for other trainers"
once "$OUT/local_glm.jsonl" groundswift anomaly table "$OUT/local.jsonl" --form glm4v --out "$OUT/local_glm.jsonl"
once "$OUT/local_phi3.json" groundswift anomaly table "$OUT/local.jsonl" --form phi3v --out "$OUT/local_phi3.json"

step "training, validation and test rows: no video in two of them"
read -r -a parts <<< "$PARTS"
once "$OUT/parts/frames.jsonl" groundswift anomaly split "${ROWS[@]}" --parts "${parts[@]}" --near-bits 0 --seed "$SEED" --out "$OUT/parts"
[ "$UNTIL" != data ] || exit 0

step "train: three stages of $STEPS steps, then merge"
DATA=$OUT/parts
show DATA="$DATA" FORM=rows STAGES="1 2 3" EPOCHS=1 REDO= GPUS=1 OVERWRITE= OUT="$OUT/training" MODEL="$MODEL" SEED="$SEED" SAVE_STEPS="$STEPS" \
  bash "$RECIPES/anomaly/qwen2_vl_lora.sh" \
  "${ON_CPU[@]}" --lora_rank 32 --lora_alpha 64 --freeze_vit false --freeze_aligner false --learning_rate 2e-3 \
  --per_device_train_batch_size 16 --per_device_eval_batch_size 16 --gradient_accumulation_steps 1 --max_steps "$STEPS" "$@"

step "answer the test rows, before and after"
for name in before after; do
  model=$MODEL
  [ "$name" = before ] || model=$OUT/training/merged
  once "$OUT/$name.csv" groundswift infer "$DATA/test.1+2+3.jsonl" --model "$model" --model-type qwen2_vl --template qwen2_vl_grounding \
    --max-new-tokens 80 --logprobs --top-logprobs 5 --csv --bom --out "$OUT/$name.jsonl"
done

step "train a judge: $JUDGE_STEPS steps on answers to the training questions that are known to be right or wrong"
KNOWN=("$DATA/train.1+2+3.jsonl" --judge-prompt "$RECIPES/anomaly/judge_prompt.txt" --each 12 --longest 24 --held-out 0.2 --seed "$SEED")
once "$OUT/judging.jsonl" groundswift eval check-judge "${KNOWN[@]}" --reason --write "$OUT/judging.jsonl"
once "$OUT/judge_base" python "$RECIPES/anomaly/own_embeddings.py" "$MODEL" --out "$OUT/judge_base" # it cannot tell A from B
if [ -n "$DRY_RUN" ] || [ ! -e "$OUT/judge" ]; then
  run rm -rf "$OUT/judge.partial"
  run swift sft --model "$OUT/judge_base" "${SERVED[@]}" --dataset "$OUT/judging.jsonl" --split_dataset_ratio 0 \
    --tuner_type full --freeze_llm false --freeze_vit true --freeze_aligner true "${ON_CPU[@]}" --learning_rate 3e-3 --lr_scheduler_type cosine \
    --warmup_ratio 0.1 --per_device_train_batch_size 16 --gradient_accumulation_steps 1 --max_steps "$JUDGE_STEPS" --save_steps "$JUDGE_STEPS" \
    --save_only_model true --logging_steps 25 --seed "$SEED" --output_dir "$OUT/judge.partial" --add_version false
  run mv "$OUT/judge.partial/checkpoint-$JUDGE_STEPS" "$OUT/judge"
fi

step "judged report; first the judge itself, on the fifth of these answers that it was not trained on"
JUDGE=(--judge-url "http://127.0.0.1:$PORT/v1" --judge-model judge --judge-prompt "$RECIPES/anomaly/judge_prompt.txt" --judge-field max_tokens=32)
REPORTS=("$OUT/judge_checked.json" "$OUT/before/report.html" "$OUT/after/report.html")
if [ -n "$DRY_RUN" ] || ! ls "${REPORTS[@]}" &> /dev/null; then
  serve swift deploy --model "$OUT/judge" --served_model_name judge --host 127.0.0.1 --port "$PORT" "${SERVED[@]}"
  once "$OUT/judge_checked.json" groundswift eval check-judge "${KNOWN[@]}" "${JUDGE[@]}" --judge-cache "$OUT/judge_checked.jsonl" \
    --out "$OUT/judge_checked.json"
  for name in before after; do
    once "$OUT/$name/report.html" groundswift eval anomaly "$OUT/$name.jsonl" --rows "$DATA/test.1+2+3.jsonl" --anomalous yes --normal no \
      "${JUDGE[@]}" --out "$OUT/$name"
  done
  end_server
fi
once "$OUT/report.html" groundswift eval compare "$OUT/before" "$OUT/after" --names before,after --title "anomaly demo" --out "$OUT"

step "watch a video: a ring appears after 6 s, for 6 s"
if [ -n "$DRY_RUN" ] || [ ! -e "$OUT/watch/done" ]; then
  run rm -rf "$OUT/watch"
  serve swift deploy --model "$OUT/training/merged" --host 127.0.0.1 --port "$PORT" "${SERVED[@]}"
  show groundswift watch "$OUT/bench/clip.mp4" --url "http://127.0.0.1:$PORT/v1" --family qwen2_vl --question "$QUESTION" --alarm-on box:ring \
    --max-new-tokens 80 --no-page --out "$OUT/watch"
  run touch "$OUT/watch/done"
fi
printf '\nrows     %s\ntables   %s\nadapter  %s\nanswers  %s\njudge    %s\nreport   %s\nalarms   %s\nlog      %s\n' "$DATA" "$OUT/asked.csv" "$OUT/training" \
  "$OUT/after.csv" "$OUT/judge_checked.json" "$OUT/report.html" "$OUT/watch/alarms.jsonl" "$LOG"
