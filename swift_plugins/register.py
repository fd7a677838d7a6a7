"""The one file to give to swift: `--custom_register_path "$(groundswift plugin)"` (also known as `--external_plugins`).

Tables, no logic: what is registered, and under which name. It may be loaded any number of times, under any module name.
"""

from swift.callbacks import callbacks_map
from swift.dataset import register_dataset
from swift.metrics import eval_metrics_map
from swift.model import register_model, register_model_arch
from swift.rewards import orms
from swift.template import register_template

from groundswift.swift_plugins.grounding import mends, models
from groundswift.swift_plugins.grounding.batched_answers import BATCHED_ANSWERS, BatchedAnswers
from groundswift.swift_plugins.grounding.cpu_deepspeed import use_deepspeed_on_cpu
from groundswift.swift_plugins.grounding.datasets import named_sets
from groundswift.swift_plugins.grounding.date_like_texts import keep_date_like_texts
from groundswift.swift_plugins.grounding.enough_tokens import ENOUGH_TOKENS, EnoughTokens
from groundswift.swift_plugins.grounding.gradio_chat import show_pairs_as_messages
from groundswift.swift_plugins.grounding.guards import warn_of_versions
from groundswift.swift_plugins.grounding.hub_sets import hub_sets
from groundswift.swift_plugins.grounding.logged_steps import log_steps_before_training
from groundswift.swift_plugins.grounding.metric import VALIDATION_ROWS, CocoMapMetric, ValidationRows
from groundswift.swift_plugins.grounding.patches.gemma4_images import join_gemma4_images
from groundswift.swift_plugins.grounding.patches.qwen_vl_inplace import let_embeddings_be_written
from groundswift.swift_plugins.grounding.patches.remote_code import let_remote_models_generate
from groundswift.swift_plugins.grounding.patches.wordless_answers import score_wordless_answers
from groundswift.swift_plugins.grounding.quantised_runs import merge_qlora_into_full_weights
from groundswift.swift_plugins.grounding.quick_images import normalise_patches
from groundswift.swift_plugins.grounding.resumed import warn_of_ignored_options
from groundswift.swift_plugins.grounding.rewards import REWARDS, give_rewards_what_they_need
from groundswift.swift_plugins.grounding.rlhf_rows import complete_rows_of_rlhf
from groundswift.swift_plugins.grounding.run_checks import RUN_CHECKS
from groundswift.swift_plugins.grounding.run_record import record_runs
from groundswift.swift_plugins.grounding.sample_ids import keep_ids_of_any_type
from groundswift.swift_plugins.grounding.saved_models import save_for_plain_transformers
from groundswift.swift_plugins.grounding.spawned import (
    list_benchmarks_without_opencompass,
    show_the_system_of_the_given_template,
    stop_waiting_for_the_dead,
)
from groundswift.swift_plugins.grounding.templates import template_metas
from groundswift.swift_plugins.grounding.tied_weights import merge_tied_weights_apart, warn_of_tied_weights
from groundswift.swift_plugins.grounding.unanswered import set_unreadable_rows_aside

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
