# Sourced by the recipes of anomaly detection: three stages of one adapter, each from the last one's end, and the merge.
#
# DATA is the folder that `groundswift anomaly split` writes: train.1.jsonl and val.1.jsonl (local concepts), train.2.jsonl and val.2.jsonl
# (strong guidance), train.3.jsonl and val.3.jsonl (weak guidance). A stage trains on its own rows and a share of the earlier stages' rows.
# The same command continues after a kill: finished stages are skipped, the one that broke off goes on from its newest checkpoint.
# shellcheck source=../_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_run.sh"

DATA=${DATA:-}          # folder of the rows: train.N.jsonl and val.N.jsonl of the stages 1 to 3
FORM=${FORM:-rows}      # of the files in DATA: rows (of swift), csv, glm4v (messages of GLM-4V), phi3v (JSON of Phi-3-vision)
STAGES=${STAGES:-1 2 3} # stages to train, in this order
EPOCHS=${EPOCHS:-1}     # of every stage, or of each: "2 1 3"
REPLAY=${REPLAY:-0.3}   # share of each earlier stage's rows that a stage repeats
SEED=${SEED:-0}         # of mix and training
BATCH=${BATCH:-16}      # rows in a step, over all GPUs
SAVE_STEPS=${SAVE_STEPS:-50}     # steps between two checkpoints; each is evaluated on the rows held out
DDP_TIMEOUT=${DDP_TIMEOUT:-1800} # seconds to wait for a process that hangs; swift alone waits 208 days
REDO=${REDO:-}          # a stage to train again, with those after it

need swift groundswift python flock
need_file DATA "Make it first: groundswift anomaly split local.jsonl marked.jsonl located.jsonl --out parts/"
case $FORM in
  rows | glm4v) SUFFIX=jsonl ;;
  phi3v) SUFFIX=json ;;
  csv) SUFFIX=csv ;;
  *) stop "FORM=$FORM: expected rows, csv, glm4v or phi3v" ;;
esac
[[ $STAGES =~ ^[123](\ [123])*$ ]] || stop "STAGES=$STAGES: expected numbers of stages, such as '1 2 3'"
[[ $REDO =~ ^[123]?$ ]] || stop "REDO=$REDO: expected the number of a stage, 1 to 3"
gpus 1
[ "$GPUS" -eq 1 ] || export NPROC_PER_NODE=${NPROC_PER_NODE:-$GPUS}
ACCUMULATE=$(((BATCH + GPUS - 1) / GPUS)) # each GPU has one row at a time
EARLIER=()                                # stages before the present one
reopen "$OUT"
[ -z "$REDO" ] || for stage in 1 2 3; do
  [ "$stage" -lt "$REDO" ] || run rm -rf "$OUT/stage$stage" "$OUT/merged"
done

# rows_file PART STAGE: set ROWS to a part's rows as swift reads them. Other forms become rows.
rows_file() {
  local given=$DATA/$1.$2.$SUFFIX
  [ -n "$DRY_RUN" ] || [ -s "$given" ] || stop "$given: missing or empty. Expected the files of 'groundswift anomaly split', with rows in each"
  ROWS=$given
  [ "$FORM" != rows ] || return 0
  ROWS=$OUT/data/$1.$2.jsonl
  { [ -z "$DRY_RUN" ] && [ "$ROWS" -nt "$given" ]; } || run groundswift anomaly table "$given" --read "$FORM" --stage "$2" --out "$ROWS"
}

# share FILE SHARE: how many rows a share of a file is.
share() {
  if [ -n "$DRY_RUN" ]; then echo 1; else awk -v share="$2" 'NF { rows++ } END { printf "%d", rows * share + 0.5 }' "$1"; fi
}

# open_stage STAGE: set what the stage's command reads: TRAIN, VAL, TO and STAGE_EPOCHS; and MIX, the command that makes TRAIN.
open_stage() {
  local other rows epochs total=0
  STAGE=$1 TO=$OUT/stage$1 TRAIN=$OUT/data/stage$1.jsonl INPUTS=() MIX=(groundswift mix)
  read -r -a epochs <<< "$EPOCHS"
  STAGE_EPOCHS=${epochs[$((STAGE - 1))]:-${epochs[-1]}}
  [ -n "$DRY_RUN" ] || mkdir -p "$OUT/data"
  for other in "${EARLIER[@]}" "$STAGE"; do
    rows_file train "$other"
    INPUTS+=("$ROWS")
    rows=$(share "$ROWS" "$([ "$other" = "$STAGE" ] && echo 1 || echo "$REPLAY")")
    [ "$rows" = 0 ] || MIX+=("$ROWS:$rows")
    total=$((total + rows))
  done
  MIX+=(--total "$total" --seed "$SEED" --out "$TRAIN")
  rows_file val "$STAGE"
  VAL=$ROWS
}

# train COMMAND...: run the stage's `swift sft` command, from the last stage's adapter or from where the stage broke off.
train() {
  local state=new from=()
  step "stage $STAGE"
  [ "${#EARLIER[@]}" -eq 0 ] || from=(--adapters "$(best_checkpoint "$OUT/stage${EARLIER[-1]}")")
  if [ -z "$DRY_RUN" ]; then
    state=$(script anomaly/_stage.py "$TO" --run "$OUT" --input "${INPUTS[@]}" "$VAL" --set "REPLAY=$REPLAY" -- "$@" "${from[@]}") ||
      exit 1
  fi
  case $state in
    done) echo "finished before" ;;
    new)
      show "${MIX[@]}"
      run "$@" "${from[@]}"
      ;;
    *) run "$@" --resume_from_checkpoint "$state" ;;
  esac
  EARLIER+=("$STAGE")
}

# merge: the last stage's adapter merged into the base model: OUT/merged, whole or not at all.
merge() {
  local adapter
  step "merge the adapter into the base model"
  adapter=$(best_checkpoint "$OUT/stage${EARLIER[-1]}")
  if [ ! -e "$OUT/merged" ]; then
    run rm -rf "$OUT/merged.partial"
    run swift export --adapters "$adapter" --merge_lora true --output_dir "$OUT/merged.partial"
    run mv "$OUT/merged.partial" "$OUT/merged"
  fi
  compare_merged swift export --model "$MODEL" --adapters "$adapter" --merge_lora true --output_dir "$OUT/merged"
  printf '\nadapter  %s\nmerged   %s\nlog      %s\n' "$adapter" "$OUT/merged" "$LOG"
}
