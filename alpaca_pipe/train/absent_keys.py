"""Keys of transformers' TrainingArguments and TRL's SFTConfig that a recipe has not, and why: said where one is written."""

from __future__ import annotations

from collections.abc import Mapping

_WHY: Mapping[str, str] = {
    "base.dtype says in which type frozen weights are; weights that are trained are kept in float32": (
        "bf16 fp16 bf16_full_eval fp16_full_eval model_init_kwargs"
    ),
    "how fast rows are loaded is chosen here: they are tokenised once, and lie in memory": (
        "dataloader_drop_last dataloader_in_order dataloader_multiprocessing_context dataloader_num_workers "
        "dataloader_persistent_workers dataloader_pin_memory dataloader_prefetch_factor dataset_num_proc "
        "remove_unused_columns length_column_name dataset_kwargs dataset_text_field label_names"
    ),
    "rows are laid side by side without padding, and never see each other": (
        "packing packing_strategy padding_free pad_to_multiple_of pad_token eval_packing use_cache"
    ),
    "processes are joined by the run itself (train.processes, train.fsdp, train.deepspeed)": (
        "accelerator_config average_tokens_across_devices ddp_backend ddp_broadcast_buffers ddp_bucket_cap_mb "
        "ddp_find_unused_parameters ddp_static_graph ddp_timeout fsdp_config local_rank log_level_replica "
        "log_on_each_node parallelism_config save_on_each_node"
    ),
    "curate.held_out says which rows are held out, and evaluate: scores them afterwards": (
        "do_eval do_predict do_train batch_eval_metrics eval_accumulation_steps eval_delay eval_do_concat_batches "
        "eval_on_start eval_use_gather_object include_for_metrics per_device_eval_batch_size prediction_loss_only"
    ),
    "the lowest held-out loss is the best": "greater_is_better metric_for_best_model",
    "every step is written to loss.jsonl, and shown as it comes": (
        "disable_tqdm include_num_input_tokens_seen log_level logging_first_step logging_nan_inf_filter logging_steps "
        "logging_strategy project run_name skip_memory_metrics trackio_bucket_id trackio_space_id "
        "trackio_static_space_id debug"
    ),
    "a checkpoint is whole and resumes bit for bit, by itself; results lie in runs/": (
        "enable_jit_checkpoint ignore_data_skip output_dir restore_callback_states_from_checkpoint save_only_model "
        "save_strategy"
    ),
    "uploading is a command of its own, after the verdict: alpaca-pipe push RECIPE OWNER/NAME --model": (
        "hub_always_push hub_model_id hub_private_repo hub_revision hub_strategy hub_token push_to_hub"
    ),
    "an answer's tokens are learned and its prompt's are not (train.prompt_loss_weight weighs the prompt)": (
        "assistant_only_loss completion_only_loss"
    ),
    "words, end of turn and tokens are those of train.template": "chat_template_path eos_token",
    "code of a model's repository is never run here": "trust_remote_code",
    "a row longer than train.max_length is left out with its reason, never cut": "truncation_mode",
    "rows come in an order that train.seed draws": (
        "data_seed full_determinism shuffle_dataset train_sampling_strategy"
    ),
    "memory and speed are fitted to the machine (train.gradient_checkpointing, train.torch_compile)": (
        "activation_checkpointing_kwargs activation_offloading auto_find_batch_size gradient_checkpointing_kwargs "
        "liger_kernel_config torch_compile_backend torch_compile_mode torch_empty_cache_steps use_cpu"
    ),
    "it is not offered: the loss is the mean over learned tokens, and nothing is mixed into it": (
        "label_smoothing_factor router_aux_loss_coef"
    ),
    "the schedules and optimizers that are offered need no further arguments": (
        "lr_scheduler_kwargs optim_args optim_target_modules"
    ),
}
ABSENT: Mapping[str, str] = {name: why for why, names in _WHY.items() for name in names.split()}
