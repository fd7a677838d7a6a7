# Sourced by the recipes of reinforcement: the fine-tuned adapter that they start from, the prompts, and the score at the end.
#
# Prompts need some images without objects, else the model learns to always answer with a box: groundswift convert coco keeps them (--negatives).
# shellcheck source=../_trained.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_trained.sh"

TRAIN=${TRAIN:-}                   # rows whose questions are asked and whose boxes decide the reward
EPOCHS=${EPOCHS:-1}
REWARD=${REWARD:-detection_f1_mean} # detection_f1 (F1 at IoU 0.5), detection_f1_mean (mean over IoU 0.50 to 0.95) or det_map (AP of the set)

need_file TRAIN "Make rows for swift first: groundswift convert coco train.json --images images/ --out train.jsonl"
need_rows
case $REWARD in
  detection_f1 | detection_f1_mean | det_map) ;;
  *) stop "REWARD=$REWARD: expected detection_f1, detection_f1_mean or det_map" ;;
esac
fresh "$OUT"

# trained_as KEY: a value of the adapter's training: model_type, template.
trained_as() {
  if [ -n "$DRY_RUN" ]; then
    case $1 in model_type) echo qwen2_5_vl ;; *) echo qwen2_5_vl_grounding ;; esac
  else
    python -c 'import json, sys; print(json.load(open(sys.argv[1] + "/args.json"))[sys.argv[2]])' "$ADAPTERS" "$1" ||
      stop "$ADAPTERS/args.json does not say its $1: expected a checkpoint of swift"
  fi
}

# negatives: count the prompts whose image has no objects; none is an error unless NEGATIVES=0.
NEGATIVES=${NEGATIVES:-1} # how many prompts without objects TRAIN must have at least
negatives() {
  local found
  [ -z "$DRY_RUN" ] || return 0
  found=$(python -c 'import json, sys; print(sum(not (json.loads(line).get("objects") or {}).get("bbox") for line in open(sys.argv[1]) if line.strip()))' "$TRAIN")
  echo "$found prompts without objects"
  [ "$found" -ge "$NEGATIVES" ] || stop "TRAIN has $found rows without objects, and NEGATIVES=$NEGATIVES: without them false boxes cost nothing. Add such images, or set NEGATIVES=0"
}

# merge_tuned: write the merged weights of the fine-tuned model, the starting point, to OUT/tuned.
merge_tuned() {
  step "merge the fine-tuned adapter"
  run swift export --adapters "$ADAPTERS" --merge_lora true --output_dir "$OUT/tuned"
}

# score_trained: answer TEST with the last checkpoint and score.
score_trained() {
  step "answer the held-out rows"
  run swift infer --adapters "$(best_checkpoint "$OUT/train")" --merge_lora true --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" \
    --max_batch_size 8 --val_dataset "$TEST" --result_path "$OUT/result.jsonl"
  score "$OUT/result.jsonl"
}

MODEL_TYPE=$(trained_as model_type)
TEMPLATE=$(trained_as template)
negatives
