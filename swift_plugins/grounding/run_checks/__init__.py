"""Checks of a run that a recipe cannot make: swift's traps are repaired, refused with a remedy, or warned of with numbers.

| trap | where |
| --- | --- |
| unknown or missing metric, wrong best metric, all frozen, merger frozen, truncation, half precision on a CPU | `training_options` |
| misspelled datasets, `--check_model` offline | `hub_requests` |
| rows dropped, rows replaced by others | `lost_rows` |
| text-only rows under zero3, few image tokens, nothing trained | `before_first_step` |
| answers truncated at `max_new_tokens` | `..metrics.unanswered`, and `..metrics.coco_map_metric` while training |
| ignored options of a resumed run | `resumed` |
| outdated merged folders, LoRA on a tied head, weights quantised again | `..patches.merged_adapters` |
| DeepSpeed on a CPU | `..patches.cpu_processes` |
| unreadable rows in inference and evaluation | `..metrics.unanswered` |
| what a metric cannot score | `..metrics.coco_map_metric` |
"""
