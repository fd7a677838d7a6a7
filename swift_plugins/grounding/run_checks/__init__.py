"""Checks of a run that a recipe cannot make: swift's traps are repaired, refused with a remedy, or warned of with numbers.

| trap | where |
| --- | --- |
| unknown or missing metric, wrong best metric, everything frozen, merger frozen, truncation | `training_options`, at parsing |
| fp16 and bf16 on a CPU | `precision`, at parsing |
| misspelled datasets, `--check_model` offline | `hub_requests` |
| rows dropped, rows replaced by others | `lost_rows` |
| text-only rows under zero3, few image tokens, nothing trained | `before_first_step` |
| outdated merged folders | `merged_folders` |
| answers truncated at `max_new_tokens` | `truncated_answers`, and `..metrics.coco_map_metric` while training |
| ignored options of a resumed run | `resumed` |
| LoRA on a tied head | `..patches.tied_weights` |
| quantised weights quantised again | `..patches.merged_qlora` |
| DeepSpeed on a CPU | `..patches.cpu_processes` |
| unreadable rows in inference and evaluation | `..metrics.unanswered` |
| what a metric cannot score | `..metrics.coco_map_metric` |
"""

from .before_first_step import check_before_first_step
from .hub_requests import skip_useless_hub_requests
from .lost_rows import report_lost_rows
from .merged_folders import refuse_outdated_merges
from .precision import fit_precision_to_device
from .training_options import check_training_options

RUN_CHECKS = (
    check_training_options,
    fit_precision_to_device,
    skip_useless_hub_requests,
    report_lost_rows,
    check_before_first_step,
    refuse_outdated_merges,
)
