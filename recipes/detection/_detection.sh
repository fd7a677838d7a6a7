# Sourced by the recipes of detection: which rows are read, and what follows a training: merge, answers on held-out rows, score, report.
# shellcheck source=../_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_run.sh"

TRAIN=${TRAIN:-}        # rows to train on, as groundswift convert writes them
VAL=${VAL:-}            # rows to choose the checkpoint by
TEST=${TEST:-$VAL}      # rows to score at the end
GT=${GT:-}              # ground truth of TEST, a COCO file; made from TEST if not given
IMAGES=${IMAGES:-}      # image folder of GT, for the report
MAX_NEW_TOKENS=${MAX_NEW_TOKENS:-2048} # of an answer
TASK=${TASK:-detection} # detection (labelled boxes, COCO mAP) or referring (one box per answer, accuracy at IoU 0.5)

need swift groundswift python
need_file TRAIN "Make rows for swift first: groundswift convert coco train.json --images images/ --out train.jsonl"
need_file VAL "Make rows for swift first: groundswift convert coco val.json --images images/ --out val.jsonl"
need_file TEST "Rows for swift to score at the end; VAL unless set"
[ -z "$GT" ] || need_file GT "The COCO file that TEST was made from"
[ -z "$IMAGES" ] || need_file IMAGES "The image folder of GT"
case $TASK in
  detection) BEST=AP ;;
  referring) BEST=acc_iou50 ;;
  *) stop "TASK=$TASK: expected detection or referring" ;;
esac
fresh "$OUT"

# score_adapter [OPTION...]: merge the best adapter into the base model, answer TEST and score. Further options go to `swift infer`.
score_adapter() {
  step "merge the adapter, answer the held-out rows"
  run swift infer --adapters "$(best_checkpoint "$OUT/train")" --merge_lora true --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" \
    --max_batch_size 8 --val_dataset "$TEST" --result_path "$OUT/result.jsonl" "$@"
  score
}

# score_model [OPTION...]: the same for full training, whose checkpoint is a model.
score_model() {
  step "answer the held-out rows"
  run swift infer --model "$(best_checkpoint "$OUT/train")" --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" \
    --max_batch_size 8 --val_dataset "$TEST" --result_path "$OUT/result.jsonl" "$@"
  score
}

# score: the numbers and the report of OUT/result.jsonl.
score() {
  step "score"
  if [ "$TASK" = referring ]; then
    show groundswift eval referring "$OUT/result.jsonl" --out "$OUT/scored"
  else
    if [ -z "$GT" ]; then
      GT=$OUT/truth.json
      run groundswift convert to-coco "$TEST" --out "$GT"
    fi
    show groundswift eval coco-map "$OUT/result.jsonl" --gt "$GT" ${IMAGES:+--images "$IMAGES"} --out "$OUT/scored"
  fi
  printf '\nreport   %s\nlog      %s\n' "$OUT/scored/report.html" "$LOG"
}
