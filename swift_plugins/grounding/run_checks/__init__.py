"""The one place that checks what a recipe cannot: traps of swift that are repaired, refused with a remedy, or warned of with numbers.

| trap | where |
| --- | --- |
| unknown or missing metric, unfit best metric, everything frozen, merger frozen, truncation | `training_options`, at parsing |
| fp16 and bf16 on a CPU | `precision`, at parsing |
| misspelled datasets, `--check_model` offline | `offline` |
| rows dropped, rows replaced by others | `lost_rows` |
| text-only rows under zero3, few image tokens, nothing trained | `before_first_step` |
| outdated merged folders | `merged_folders` |
| answers cut at `max_new_tokens` | `cut_answers`, and `..enough_tokens` while training |
| ignored options of a resumed run | `..resumed` |
| LoRA on a tied head | `..tied_weights` |
| quantised weights quantised again | `..quantised_runs` |
| DeepSpeed on a CPU | `..cpu_deepspeed` |
| unreadable rows in inference and evaluation | `..unanswered` |
| what a metric cannot score | `..metric` |
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
