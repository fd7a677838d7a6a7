# Sourced by the recipes of clusters: which machines train, one run folder per machine, and resuming after a lost machine.
# shellcheck source=../_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_run.sh"

TRAIN=${TRAIN:-}                 # rows to train on; the same path on every machine
VAL=${VAL:-}                     # rows to validate on
NNODES=${NNODES:-2}              # number of machines
NODE_RANK=${NODE_RANK:-${SLURM_NODEID:-0}} # of this machine: 0, 1, ... NNODES - 1
MASTER_ADDR=${MASTER_ADDR:-}     # host name or IP address of machine 0
MASTER_PORT=${MASTER_PORT:-29500} # a free port of machine 0
DDP_TIMEOUT=${DDP_TIMEOUT:-1800} # seconds to wait for a process that hangs; swift alone waits 208 days
RESUME=${RESUME:-}               # 1: continue from the newest complete checkpoint in OUT; or the checkpoint to continue from
GO_ON="to go on: RESUME=1 before the same command"
gpus 8
NPROC_PER_NODE=${NPROC_PER_NODE:-$GPUS} # processes on each machine, one per GPU

need swift groundswift python
[[ $NNODES =~ ^[1-9][0-9]*$ ]] || stop "NNODES=$NNODES: expected the number of machines"
[[ $NODE_RANK =~ ^[0-9]+$ ]] || stop "NODE_RANK=$NODE_RANK: expected the number of this machine, 0 for the first"
[[ $DDP_TIMEOUT =~ ^[1-9][0-9]*$ ]] || stop "DDP_TIMEOUT=$DDP_TIMEOUT: expected whole seconds above 0"

# need_rows: the rows that every machine reads.
need_rows() {
  need_file TRAIN "Make rows for swift first: groundswift convert coco train.json --images images/ --out train.jsonl"
  need_file VAL "Make rows for swift first: groundswift convert coco val.json --images images/ --out val.jsonl"
}

# open_run: the run folder of this machine: OUT on machine 0; OUT-nodeN on machine N, with only its log. An earlier run is refused,
# or continued with RESUME. Sets RESUMED, the options that make `swift sft` resume.
open_run() {
  local folder=$OUT checkpoint
  [ "$NODE_RANK" -eq 0 ] || folder=$OUT-node$NODE_RANK
  if [ -n "$RESUME" ] && [ -e "$folder/log.txt" ]; then
    LOG=$folder/log.txt
  else
    fresh "$folder"
  fi
  checkpoint=$(checkpoint_to_resume)
  RESUMED=()
  [ -z "$checkpoint" ] || RESUMED=(--resume_from_checkpoint "$checkpoint")
}

# checkpoint_to_resume: the checkpoint that RESUME asks for; empty for a new run.
checkpoint_to_resume() {
  local from=$RESUME
  [ "$RESUME" != 1 ] || from=$OUT/train
  if [ -n "$DRY_RUN" ]; then
    [ "$RESUME" != 1 ] || from=$OUT/train/checkpoint-NEWEST
    echo "$from"
  elif [ -n "$RESUME" ]; then
    script _checkpoint.py "$from" --resume
  fi
}

# join_machines: export where machine 0 is: `swift` passes it to torchrun by these variables only.
join_machines() {
  [ "$NODE_RANK" -lt "$NNODES" ] || stop "NODE_RANK=$NODE_RANK: expected 0 to $((NNODES - 1)), as there are $NNODES machines"
  [ -n "$MASTER_ADDR$DRY_RUN" ] || [ "$NNODES" -eq 1 ] || stop "MASTER_ADDR is not set: the host name or IP address of machine 0"
  export NNODES NODE_RANK NPROC_PER_NODE MASTER_PORT MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}
}
