#!/usr/bin/env bash
# Task      detection
# Model     Qwen/Qwen2.5-VL-7B-Instruct
# Method    the training of torchrun_two_nodes.sh as a Slurm job; requeued and resumed after a lost machine
# Hardware  2 machines of 8 GPUs, or NNODES of them
# Memory    not measured
# Score     not measured
# Needs     Slurm; OUT is a folder that all machines share
# Note      sbatch's own variables choose where it runs: SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_TIMELIMIT
# Tiny      MODEL=@qwen2_5_vl NNODES=2 NPROC_PER_NODE=1 GRES=none SAVE_STEPS=1 MASTER_PORT=29518
# shellcheck source=_clusters.sh
source "$(dirname "${BASH_SOURCE[0]}")/_clusters.sh"

GRES=${GRES:-gpu:$NPROC_PER_NODE} # what the job gets of each machine, in Slurm's words
RESTARTS=${RESTARTS:-3}           # of the job after a failure of the training; a lost machine does not count
LOG=/dev/null                     # what the machines print goes to OUT-slurm.txt; each machine has its own log, too

if [ -z "${SLURM_JOB_ID:-}" ]; then
  need_rows
  [ -n "$DRY_RUN" ] || command -v sbatch > /dev/null || stop "'sbatch' is not on the PATH: submit from a machine of a Slurm cluster"
  [ -n "$DRY_RUN$RESUME${OVERWRITE:-}" ] || [ ! -s "$OUT/log.txt" ] || stop "$OUT has an earlier run. Give a new folder: OUT=..., or continue it: RESUME=1"
  export OUT TRAIN VAL NNODES NPROC_PER_NODE
  mkdir -p "$(dirname "$OUT")"
  step "submit"
  show sbatch --job-name "$(basename "$OUT")" --nodes "$NNODES" --ntasks-per-node 1 --gres "$GRES" --requeue --open-mode append \
    --output "$OUT-slurm.txt" --wrap "$(printf '%q ' bash "$RECIPE" "$@")"
  [ -n "$DRY_RUN" ] || exit 0
fi

# From here on inside the job, on its first machine.
[ "${SLURM_RESTART_COUNT:-0}" -eq 0 ] || RESUME=1
[ -n "$DRY_RUN$MASTER_ADDR" ] || MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p) # head would end scontrol by SIGPIPE
export NNODES NPROC_PER_NODE MASTER_ADDR MASTER_PORT RESUME OUT
unset NODE_RANK # srun gives each machine its own: SLURM_NODEID
[ -z "$DRY_RUN" ] || MASTER_ADDR=FIRST_MACHINE
status=0
show srun --nodes "$NNODES" --ntasks-per-node 1 --kill-on-bad-exit 1 bash "$RECIPES/clusters/torchrun_two_nodes.sh" "$@" || status=$?
[ -z "$DRY_RUN" ] || exec bash "$RECIPES/clusters/torchrun_two_nodes.sh" "$@"
if [ "$status" -ne 0 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt "$RESTARTS" ]; then
  echo "the training ended with status $status: requeued, restart $((${SLURM_RESTART_COUNT:-0} + 1)) of $RESTARTS"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
