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
from groundswift.swift_plugins.grounding.metrics.coco_map_metric import (
    ENOUGH_TOKENS,
    VALIDATION_ROWS,
    EnoughNewTokens,
    ValidationRows,
    eval_metrics,
)
from groundswift.swift_plugins.grounding.metrics.unanswered import evaluate_every_row, infer_every_row
from groundswift.swift_plugins.grounding.models.florence2 import model_arches, model_metas
from groundswift.swift_plugins.grounding.patches.cpu_processes import join_cpu_processes, refuse_ignored_deepspeed, use_deepspeed_on_cpu
from groundswift.swift_plugins.grounding.patches.date_like_texts import keep_date_like_texts
from groundswift.swift_plugins.grounding.patches.empty_answers import score_empty_answers
from groundswift.swift_plugins.grounding.patches.encoder_decoder_logits import keep_all_logits_of_encoder_decoders
from groundswift.swift_plugins.grounding.patches.error_output import print_errors_plainly
from groundswift.swift_plugins.grounding.patches.gemma4_images import join_gemma4_images
from groundswift.swift_plugins.grounding.patches.given_template import (
    keep_given_template,
    keep_given_template_in_app,
    note_given_template,
)
from groundswift.swift_plugins.grounding.patches.lazy_images import normalise_after_patching
from groundswift.swift_plugins.grounding.patches.media_token_ids import look_up_media_tokens
from groundswift.swift_plugins.grounding.patches.merged_qlora import merge_qlora_into_full_weights, note_options, warn_quantised_again
from groundswift.swift_plugins.grounding.patches.remote_code import add_generation_attributes, copy_leaf_embeddings
from groundswift.swift_plugins.grounding.patches.remote_media import fetch_remote_media
from groundswift.swift_plugins.grounding.patches.row_columns import keep_columns, note_whether_stored, store_ids_as_json, write_ids_as_json
from groundswift.swift_plugins.grounding.patches.run_record import compare_with_record, record_checkpoint, record_training
from groundswift.swift_plugins.grounding.patches.saved_models import note_save_source, save_for_plain_transformers
from groundswift.swift_plugins.grounding.patches.saved_paths import save_stable_paths
from groundswift.swift_plugins.grounding.patches.served_commands import (
    convert_chat_pairs,
    list_benchmarks_without_opencompass,
    stop_waiting_for_dead_server,
)
from groundswift.swift_plugins.grounding.patches.step_log import log_steps_before_training
from groundswift.swift_plugins.grounding.patches.tied_weights import merge_tied_weights_apart, warn_tied_weights
from groundswift.swift_plugins.grounding.rewards import REWARDS, keep_own_answers, note_sampled_template, note_true_answers
from groundswift.swift_plugins.grounding.run_checks import RUN_CHECKS
from groundswift.swift_plugins.grounding.run_checks.resumed import warn_ignored_options
from groundswift.swift_plugins.grounding.templates.grounding import template_metas
from groundswift.swift_plugins.grounding.templates.rlhf_rows import ignore_kto_cache, keep_sampled_objects, move_kto_objects

PATCHES = (  # in this order: a later patch wraps an earlier one of the same method
    keep_columns,
    note_whether_stored,
    write_ids_as_json,
    store_ids_as_json,
    keep_date_like_texts,
    look_up_media_tokens,
    join_cpu_processes,
    use_deepspeed_on_cpu,
    refuse_ignored_deepspeed,
    save_stable_paths,
    fetch_remote_media,
    note_given_template,
    keep_given_template,
    print_errors_plainly,
    compare_with_record,
    record_training,
    record_checkpoint,
    note_save_source,
    save_for_plain_transformers,
    note_options,
    merge_qlora_into_full_weights,
    warn_quantised_again,
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
    move_kto_objects,
    ignore_kto_cache,
    keep_sampled_objects,
    note_true_answers,
    note_sampled_template,
    keep_own_answers,
    infer_every_row,
    evaluate_every_row,
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
