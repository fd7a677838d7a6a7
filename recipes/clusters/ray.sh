#!/usr/bin/env bash
# Task      detection
# Model     Qwen/Qwen2.5-VL-7B-Instruct
# Method    the training of torchrun_two_nodes.sh on a Ray cluster, one task per machine; resumed after a lost machine
# Hardware  2 machines of 8 GPUs, or NNODES of them
# Memory    not measured
# Score     not measured
# Needs     a Ray cluster (ray start) with groundswift on each machine; OUT is a folder that all machines share
# Note      ms-swift's own --use_ray trains on GPUs only; this starts the same torchrun as without Ray
# Tiny      MODEL=@qwen2_5_vl RAY_ADDRESS=local RESOURCES=CPU=1 NNODES=1 NPROC_PER_NODE=2 SAVE_STEPS=1
# shellcheck source=_clusters.sh
source "$(dirname "${BASH_SOURCE[0]}")/_clusters.sh"

RAY_ADDRESS=${RAY_ADDRESS:-auto}               # of the cluster: auto on one of its machines, HOST:PORT, or local
RESOURCES=${RESOURCES:-GPU=$NPROC_PER_NODE}    # what a task takes of its machine, in Ray's words
RESTARTS=${RESTARTS:-3}                        # of the training after a failure or a lost machine
need_rows
need_package ray 'groundswift[ray]'
[ -n "$DRY_RUN$RESUME${OVERWRITE:-}" ] || [ ! -s "$OUT/log.txt" ] || stop "$OUT has an earlier run. Give a new folder: OUT=..., or continue it: RESUME=1"
LOG=/dev/null # each machine has its own log
export OUT TRAIN VAL NNODES NPROC_PER_NODE RESUME RAY_ADDRESS

step "train on $NNODES machines of the Ray cluster $RAY_ADDRESS"
show python "$RECIPES/clusters/_on_ray.py" --machines "$NNODES" --resources "$RESOURCES" --restarts "$RESTARTS" -- \
  bash "$RECIPES/clusters/torchrun_two_nodes.sh" "$@"
[ -z "$DRY_RUN" ] || exec bash "$RECIPES/clusters/torchrun_two_nodes.sh" "$@"
