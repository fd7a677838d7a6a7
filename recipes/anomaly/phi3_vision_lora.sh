#!/usr/bin/env bash
# Task      anomaly detection in three stages: parts, marked scenes, bare scenes
# Model     LLM-Research/Phi-3-vision-128k-instruct
# Method    LoRA on the language model, one adapter through all stages
# Hardware  1 GPU or more
# Memory    not measured
# Score     not measured
# Tiny      MODEL=@phi3_vision DATA=@anomaly_phi3v FORM=phi3v GPUS=1
# Note      its published code does not generate since transformers 4.49 (huggingface/transformers#36071): tested with a stand-in only
# shellcheck source=_anomaly.sh
source "$(dirname "${BASH_SOURCE[0]}")/_anomaly.sh"

MODEL=${MODEL:-LLM-Research/Phi-3-vision-128k-instruct} # folder or id of ModelScope; of Hugging Face, with USE_HF=1: microsoft/Phi-3-vision-128k-instruct
export NUM_CROPS=${NUM_CROPS:-4} # tiles of an image

for stage in $STAGES; do
  open_stage "$stage"
  train swift sft --model "$MODEL" --model_type phi3_vision --template phi3_vision_grounding --custom_register_path "$PLUGIN" \
    --dataset "$TRAIN" --val_dataset "$VAL" \
    --tuner_type lora --lora_rank 16 --lora_alpha 32 --target_modules all-linear --freeze_vit true --freeze_aligner true \
    --torch_dtype bfloat16 --learning_rate 1e-4 --lr_scheduler_type cosine --warmup_ratio 0.05 --num_train_epochs "$STAGE_EPOCHS" \
    --per_device_train_batch_size 1 --gradient_accumulation_steps "$ACCUMULATE" --gradient_checkpointing true --max_length 4096 \
    --eval_strategy steps --eval_steps "$SAVE_STEPS" --save_steps "$SAVE_STEPS" --save_total_limit 2 --logging_steps 5 \
    --seed "$SEED" --ddp_timeout "$DDP_TIMEOUT" --dataloader_num_workers 4 --output_dir "$TO" --add_version false "$@"
done

merge
