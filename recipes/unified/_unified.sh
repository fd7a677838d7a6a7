# Sourced by the recipes of unified grounding: one training file of several kinds of rows, and the score of the trained model.
#
# DATA has find.jsonl (a sentence, its box), describe.jsonl (a box, its sentence), flickr30k.jsonl (captions with boxes),
# flickr30k_reverse.jsonl (boxes, their caption) and points.jsonl (answers with points):
#
#   groundswift convert refcoco refcoco/ --images coco/train2014 --split train --task find --prompts sampled --out data/find.jsonl
#   groundswift convert refcoco refcoco/ --images coco/train2014 --split train --task describe --prompts sampled --out data/describe.jsonl
#   groundswift convert flickr30k flickr30k_entities/ --images flickr30k-images --prompts sampled --out data/flickr30k.jsonl
#   groundswift convert flickr30k flickr30k_entities/ --images flickr30k-images --task reverse_sentence --out data/flickr30k_reverse.jsonl
#   groundswift convert shikra v7w_pointqa.jsonl --images visual_genome --out data/points.jsonl
# shellcheck source=../_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_run.sh"

DATA=${DATA:-}                   # folder of the five files above
VAL=${VAL:-}                     # rows to choose the checkpoint by and to score: a sentence each, its box the answer
ROWS=${ROWS:-200000}             # of the mix
WEIGHTS=${WEIGHTS:-3 1 2 1 1}    # of find, describe, flickr30k, flickr30k_reverse, points
EPOCHS=${EPOCHS:-1}
MAX_NEW_TOKENS=${MAX_NEW_TOKENS:-512} # of an answer

need swift python
need_file DATA "A folder of find.jsonl, describe.jsonl, flickr30k.jsonl, flickr30k_reverse.jsonl, points.jsonl; the group's file has the commands"
need_file VAL "Make rows for swift first: groundswift convert refcoco refcoco/ --images coco/train2014 --split val --out val.jsonl"
fresh "$OUT"

step "mix $ROWS rows"
read -r -a weights <<< "$WEIGHTS"
parts=()
for kind in find describe flickr30k flickr30k_reverse points; do
  parts+=("$DATA/$kind.jsonl:${weights[${#parts[@]}]:-1}")
done
show groundswift mix "${parts[@]}" --total "$ROWS" --out "$OUT/train.jsonl"

# score_adapter: merge the best adapter, answer VAL, accuracy at IoU 0.5.
score_adapter() {
  step "merge the adapter, answer the held-out rows"
  run swift infer --adapters "$(best_checkpoint "$OUT/train")" --merge_lora true --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" \
    --max_batch_size 8 --val_dataset "$VAL" --result_path "$OUT/result.jsonl"
  step "score"
  show groundswift eval referring "$OUT/result.jsonl" --out "$OUT/scored"
}
