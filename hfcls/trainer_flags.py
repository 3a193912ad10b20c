"""The fields of `TrainingArguments` as flags: our defaults and words; which are refused, with the reason."""

from typing import Any

# What `train` sets where neither a flag nor a config does; the rest is as TrainingArguments has it.
TRAINING_DEFAULTS: dict[str, Any] = {
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 64,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.05,
    "weight_decay": 0.05,
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "logging_strategy": "epoch",
    "load_best_model_at_end": True,
    "metric_for_best_model": "accuracy",
    "save_total_limit": 2,
    "bf16": "auto",
    # It asks the device for each loss as it comes, and hides those that are not finite.
    "logging_nan_inf_filter": False,
}

# What `--help` says instead of transformers, where a default depends on the run.
HELP: dict[str, str] = {
    "learning_rate": "peak learning rate (by the kind of network and training if left out)",
    "num_train_epochs": "passes over the training images (by the size of the data if left out)",
    "output_dir": "the run directory; required",
    "resume_from_checkpoint": "`auto` for the newest whole checkpoint of --output_dir, or the path of one",
    "disable_tqdm": "show no progress",
    "optim": "optimizer, by Trainer's name or timm's (nesterov, adam, lion, lamb, muon, ...)",
    "bf16": "compute in bfloat16: true, false, or auto (where the hardware has it and the network gains)",
}

# Fields of TrainingArguments that hfcls decides itself: giving them is an error, with the reason.
DECIDED_HERE: dict[str, str] = {
    **dict.fromkeys(("push_to_hub", "hub_model_id", "hub_private_repo"), "see the flags of the run"),
    "hub_token": "a token on the command line ends up in logs; set HF_TOKEN, or log in with `hf auth login`",
    **dict.fromkeys(("hub_strategy", "hub_always_push"), "--push_to_hub makes one commit, when the run is finished"),
    "hub_revision": "--push_to_hub commits to the main branch; see `hfcls push --create_pr` for a proposal",
    **dict.fromkeys(
        ("trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"),
        "publish the finished run with --push_to_hub or `hfcls push`",
    ),
    **dict.fromkeys(
        ("fsdp", "fsdp_config", "deepspeed", "parallelism_config"),
        "classifiers fit one device; several processes share the data",
    ),
    "prediction_loss_only": "figures need the logits",
    "batch_eval_metrics": "figures need the logits of all batches",
    "eval_do_concat_batches": "figures need the logits of all batches in one piece",
    "include_for_metrics": "figures need logits and labels alone",
    "remove_unused_columns": "hfcls builds the batches itself",
    "label_names": "the labels of a batch are always `labels`",
    "do_train": "the command says what is done",
    "do_eval": "evaluation follows --eval_strategy",
    "do_predict": "the test split is always evaluated at the end",
    "train_sampling_strategy": "images have no length; see --weighted_sampling",
    "length_column_name": "images have no length",
    "enable_jit_checkpoint": "Ctrl-C saves a checkpoint already",
    "ignore_data_skip": "a resumed run would differ from an undisturbed one",
    "restore_callback_states_from_checkpoint": "callbacks here keep no state that a checkpoint lacks",
    "neftune_noise_alpha": "it is for token embeddings",
    "local_rank": "the launcher sets it",
}

# Names that transformers 5 dropped.
RENAMED: dict[str, str] = {
    "evaluation_strategy": "--eval_strategy",
    "no_cuda": "--use_cpu",
    "warmup_ratio": "--warmup_steps, where a value below 1 is a ratio",
    "save_safetensors": "nothing: weights are always safetensors",
    "logging_dir": "the environment variable TENSORBOARD_LOGGING_DIR",
    "group_by_length": "nothing: images have no length",
    "include_inputs_for_metrics": "nothing: figures need logits and labels alone",
    "tokenizer": "nothing: the image processor comes with the model",
    "use_mps_device": "nothing: it is used where it is there",
    "per_gpu_train_batch_size": "--per_device_train_batch_size",
    "per_gpu_eval_batch_size": "--per_device_eval_batch_size",
    "jit_mode_eval": "--torch_compile",
    "fp16_backend": "--fp16",
    "half_precision_backend": "--fp16",
    "fp16_opt_level": "--fp16",
    "adafactor": "--optim adafactor",
    "max_seq_length": "nothing: images have no length",
    "train_val_split": "--validation_fraction",
    "max_val_samples": "--max_eval_samples",
    "max_predict_samples": "--max_test_samples",
    "ignore_mismatched_sizes": "nothing: the head is replaced where the classes differ",
}
