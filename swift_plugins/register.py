"""The one file to give to swift: `--custom_register_path "$(groundswift plugin)"` (also known as `--external_plugins`).

Tables, no logic: what is registered, and under which name. It may be loaded any number of times, under any module name.
"""

from swift.callbacks import callbacks_map
from swift.dataset import register_dataset
from swift.metrics import eval_metrics_map
from swift.model import register_model, register_model_arch
from swift.rewards import orms
from swift.template import register_template

from groundswift.swift_plugins.grounding import known_bad_versions, rewards
from groundswift.swift_plugins.grounding.benchmarks import registration
from groundswift.swift_plugins.grounding.datasets.hub import hub_sets
from groundswift.swift_plugins.grounding.datasets.named import named_sets
from groundswift.swift_plugins.grounding.metrics import prediction_images, unanswered
from groundswift.swift_plugins.grounding.metrics.coco_map_metric import CALLBACK, PrepareEvaluation, eval_metrics
from groundswift.swift_plugins.grounding.models.florence2 import model_arches, model_metas
from groundswift.swift_plugins.grounding.patches import (
    commands,
    cpu_processes,
    cpu_training,
    lazy_images,
    local_folders,
    merged_adapters,
    model_code,
    row_columns,
    run_record,
    saved_models,
    step_log,
)
from groundswift.swift_plugins.grounding.patches.wrap_once import patches_of
from groundswift.swift_plugins.grounding.run_checks import (
    before_first_step,
    hub_requests,
    lost_rows,
    resumed,
    training_options,
)
from groundswift.swift_plugins.grounding.templates import box_loss, rlhf_rows
from groundswift.swift_plugins.grounding.templates.grounding import template_metas

PATCHES = patches_of(  # in this order: a later patch wraps an earlier one of the same method
    row_columns,
    local_folders,
    cpu_processes,
    cpu_training,
    commands,
    run_record,
    saved_models,
    merged_adapters,
    resumed,
    known_bad_versions,
    model_code,
    rlhf_rows,
    box_loss,
    rewards,
    unanswered,
    registration,
    step_log,
    training_options,
    hub_requests,
    lost_rows,
    before_first_step,
    lazy_images,
)
REGISTRATIONS = (  # swift's function, and what makes the entries
    (register_model_arch, model_arches),
    (register_model, model_metas),
    (register_template, template_metas),
    (register_dataset, hub_sets),
    (register_dataset, named_sets),
)

for patch in PATCHES:
    patch()
for register, entries in REGISTRATIONS:
    for entry in entries():
        register(entry, exist_ok=True)
eval_metrics_map.update(eval_metrics())
callbacks_map[CALLBACK] = PrepareEvaluation
callbacks_map[prediction_images.CALLBACK] = prediction_images.PredictionImages
orms.update(rewards.REWARDS)
