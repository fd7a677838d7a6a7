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
from groundswift.swift_plugins.grounding.known_bad_versions import warn_bad_versions
from groundswift.swift_plugins.grounding.metrics.batched_answers import BATCHED_ANSWERS, BatchedAnswers
from groundswift.swift_plugins.grounding.metrics.coco_map_metric import VALIDATION_ROWS, ValidationRows, eval_metrics
from groundswift.swift_plugins.grounding.metrics.max_new_tokens_callback import ENOUGH_TOKENS, EnoughNewTokens
from groundswift.swift_plugins.grounding.metrics.unanswered import continue_after_unreadable_rows
from groundswift.swift_plugins.grounding.models.florence2 import model_arches, model_metas
from groundswift.swift_plugins.grounding.patches.cpu_deepspeed import use_deepspeed_on_cpu
from groundswift.swift_plugins.grounding.patches.cpu_process_group import join_cpu_processes
from groundswift.swift_plugins.grounding.patches.date_like_texts import keep_date_like_texts
from groundswift.swift_plugins.grounding.patches.empty_answers import score_empty_answers
from groundswift.swift_plugins.grounding.patches.encoder_decoder_logits import keep_all_logits_of_encoder_decoders
from groundswift.swift_plugins.grounding.patches.error_output import print_errors_plainly
from groundswift.swift_plugins.grounding.patches.eval_benchmarks import list_benchmarks_without_opencompass
from groundswift.swift_plugins.grounding.patches.gemma4_images import join_gemma4_images
from groundswift.swift_plugins.grounding.patches.given_template import keep_given_template, keep_given_template_in_app
from groundswift.swift_plugins.grounding.patches.gradio_chat import convert_chat_pairs
from groundswift.swift_plugins.grounding.patches.lazy_images import normalise_after_patching
from groundswift.swift_plugins.grounding.patches.leaf_embeddings import copy_leaf_embeddings
from groundswift.swift_plugins.grounding.patches.media_token_ids import look_up_media_tokens
from groundswift.swift_plugins.grounding.patches.merged_qlora import merge_qlora_into_full_weights
from groundswift.swift_plugins.grounding.patches.remote_code_generation import add_generation_attributes
from groundswift.swift_plugins.grounding.patches.remote_media import fetch_remote_media
from groundswift.swift_plugins.grounding.patches.row_columns import keep_columns, keep_ids_of_any_type
from groundswift.swift_plugins.grounding.patches.run_record import record_runs
from groundswift.swift_plugins.grounding.patches.saved_models import save_for_plain_transformers
from groundswift.swift_plugins.grounding.patches.saved_paths import save_stable_paths
from groundswift.swift_plugins.grounding.patches.server_wait import stop_waiting_for_dead_server
from groundswift.swift_plugins.grounding.patches.step_log import log_steps_before_training
from groundswift.swift_plugins.grounding.patches.tied_weights import merge_tied_weights_apart, warn_tied_weights
from groundswift.swift_plugins.grounding.rewards import REWARDS, prepare_rewards
from groundswift.swift_plugins.grounding.run_checks import RUN_CHECKS
from groundswift.swift_plugins.grounding.run_checks.resumed import warn_ignored_options
from groundswift.swift_plugins.grounding.templates.grounding import template_metas
from groundswift.swift_plugins.grounding.templates.rlhf_rows import complete_rlhf_rows

PATCHES = (  # in this order: a later patch wraps an earlier one of the same method
    keep_columns,
    keep_ids_of_any_type,
    keep_date_like_texts,
    look_up_media_tokens,
    join_cpu_processes,
    use_deepspeed_on_cpu,
    save_stable_paths,
    fetch_remote_media,
    keep_given_template,
    print_errors_plainly,
    record_runs,
    save_for_plain_transformers,
    merge_qlora_into_full_weights,
    warn_ignored_options,
    warn_tied_weights,
    merge_tied_weights_apart,
    stop_waiting_for_dead_server,
    keep_given_template_in_app,
    convert_chat_pairs,
    list_benchmarks_without_opencompass,
    warn_bad_versions,
    keep_all_logits_of_encoder_decoders,
    copy_leaf_embeddings,
    score_empty_answers,
    add_generation_attributes,
    join_gemma4_images,
    complete_rlhf_rows,
    prepare_rewards,
    continue_after_unreadable_rows,
    log_steps_before_training,
    *RUN_CHECKS,
    normalise_after_patching,
)
REGISTRATIONS = (  # swift's function, and what makes the entries
    (register_model_arch, model_arches),
    (register_model, model_metas),
    (register_template, template_metas),
    (register_dataset, hub_sets),
    (register_dataset, named_sets),
)
CALLBACKS = {ENOUGH_TOKENS: EnoughNewTokens, VALIDATION_ROWS: ValidationRows, BATCHED_ANSWERS: BatchedAnswers}

for patch in PATCHES:
    patch()
for register, entries in REGISTRATIONS:
    for entry in entries():
        register(entry, exist_ok=True)
eval_metrics_map.update(eval_metrics())
callbacks_map.update(CALLBACKS)
orms.update(REWARDS)
