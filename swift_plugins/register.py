"""The one file to give to swift: `--custom_register_path "$(groundswift plugin)"` (also known as `--external_plugins`).

Tables, no logic: what is registered, and under which name. It may be loaded any number of times, under any module name.
"""

from swift.callbacks import callbacks_map
from swift.dataset import register_dataset
from swift.metrics import eval_metrics_map
from swift.model import register_model, register_model_arch
from swift.rewards import orms
from swift.template import register_template

from groundswift.swift_plugins.grounding.datasets.hub import hub_sets
from groundswift.swift_plugins.grounding.datasets.named import named_sets
from groundswift.swift_plugins.grounding.known_bad_versions import warn_of_versions
from groundswift.swift_plugins.grounding.metrics.batched_answers import BATCHED_ANSWERS, BatchedAnswers
from groundswift.swift_plugins.grounding.metrics.coco_map_metric import VALIDATION_ROWS, CocoMapMetric, ValidationRows
from groundswift.swift_plugins.grounding.metrics.max_new_tokens_callback import ENOUGH_TOKENS, EnoughTokens
from groundswift.swift_plugins.grounding.metrics.unanswered import set_unreadable_rows_aside
from groundswift.swift_plugins.grounding.models import florence2 as models
from groundswift.swift_plugins.grounding.patches import swift as mends
from groundswift.swift_plugins.grounding.patches.cpu_deepspeed import use_deepspeed_on_cpu
from groundswift.swift_plugins.grounding.patches.date_like_texts import keep_date_like_texts
from groundswift.swift_plugins.grounding.patches.fast_images import normalise_patches
from groundswift.swift_plugins.grounding.patches.gemma4_images import join_gemma4_images
from groundswift.swift_plugins.grounding.patches.gradio_chat import show_pairs_as_messages
from groundswift.swift_plugins.grounding.patches.logged_steps import log_steps_before_training
from groundswift.swift_plugins.grounding.patches.quantised_runs import merge_qlora_into_full_weights
from groundswift.swift_plugins.grounding.patches.qwen_vl_inplace import let_embeddings_be_written
from groundswift.swift_plugins.grounding.patches.remote_code import let_remote_models_generate
from groundswift.swift_plugins.grounding.patches.run_record import record_runs
from groundswift.swift_plugins.grounding.patches.sample_ids import keep_ids_of_any_type
from groundswift.swift_plugins.grounding.patches.saved_models import save_for_plain_transformers
from groundswift.swift_plugins.grounding.patches.spawned import (
    list_benchmarks_without_opencompass,
    show_the_system_of_the_given_template,
    stop_waiting_for_the_dead,
)
from groundswift.swift_plugins.grounding.patches.tied_weights import merge_tied_weights_apart, warn_of_tied_weights
from groundswift.swift_plugins.grounding.patches.wordless_answers import score_wordless_answers
from groundswift.swift_plugins.grounding.rewards import REWARDS, give_rewards_what_they_need
from groundswift.swift_plugins.grounding.run_checks import RUN_CHECKS
from groundswift.swift_plugins.grounding.run_checks.resumed import warn_of_ignored_options
from groundswift.swift_plugins.grounding.templates.grounding import template_metas
from groundswift.swift_plugins.grounding.templates.rlhf_rows import complete_rows_of_rlhf

MENDS = (
    mends.keep_columns,
    keep_ids_of_any_type,
    keep_date_like_texts,
    mends.resolve_media_tokens_by_name,
    mends.join_cpu_processes,
    use_deepspeed_on_cpu,
    mends.save_standing_paths,
    mends.fetch_from_stores,
    mends.keep_the_template_that_was_given,
    mends.print_errors_plainly,
    record_runs,
    save_for_plain_transformers,
    merge_qlora_into_full_weights,
    warn_of_ignored_options,
    warn_of_tied_weights,
    merge_tied_weights_apart,
    stop_waiting_for_the_dead,
    show_the_system_of_the_given_template,
    show_pairs_as_messages,
    list_benchmarks_without_opencompass,
    warn_of_versions,
    models.keep_all_logits_of_encoder_decoders,
    let_embeddings_be_written,
    score_wordless_answers,
    let_remote_models_generate,
    join_gemma4_images,
    complete_rows_of_rlhf,
    give_rewards_what_they_need,
    set_unreadable_rows_aside,
    log_steps_before_training,
    *RUN_CHECKS,
    normalise_patches,
)
METRICS = {"coco_map": CocoMapMetric}
CALLBACKS = {ENOUGH_TOKENS: EnoughTokens, VALIDATION_ROWS: ValidationRows, BATCHED_ANSWERS: BatchedAnswers}

for mend in MENDS:
    mend()
for model_arch in models.model_arches():
    register_model_arch(model_arch, exist_ok=True)
for model_meta in models.model_metas():
    register_model(model_meta, exist_ok=True)
for template_meta in template_metas():
    register_template(template_meta, exist_ok=True)
for dataset_meta in (*hub_sets(), *named_sets()):
    register_dataset(dataset_meta, exist_ok=True)
eval_metrics_map.update(METRICS)
callbacks_map.update(CALLBACKS)
orms.update(REWARDS)
