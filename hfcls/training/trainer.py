"""The only Trainer subclass: the method's loss, exact loading, checkpoints that are whole or not there."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from transformers import PreTrainedModel, Trainer
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME

from hfcls.data.batches import EpochSampler
from hfcls.errors import UserError
from hfcls.methods import Method
from hfcls.training.checkpoints import damage, publish_checkpoint, rotate
from hfcls.training.optimizers import TRAINER_NAMES, build_timm_optimizer, parameter_groups
from hfcls.training.run_directory import writing

_STAGING = ".checkpoint-in-progress"


class ClassifierTrainer(Trainer):
    """Trains a classifier by a method.

    Args:
        method: gives the loss and owns its scaling.
        sampler: the order of the training images, a function of (seed, epoch); None for a stream, which has its own.
        train_collator: builds the training batches, with augmentation; ``data_collator`` builds all others.
        settings: what `transformers.Trainer` takes.
    """

    # compute_loss divides by the weight of the whole optimizer step: Trainer must not divide again.
    loss_is_scaled_for_ga = True
    data_collator: Any
    optimizer: Any

    def __init__(self, *, method: Method, sampler: EpochSampler | None, train_collator: Any, **settings: Any):
        super().__init__(**settings)
        self.method = method
        self._sampler = sampler
        self._train_collator = train_collator
        self._saving_to: str | None = None
        # What a stream left out, by id.
        self.dropped: dict[str, Any] = {}
        # Never hand the loss arguments to forward: some families then scale a second time.
        self.model_accepts_loss_kwargs = False

    # -- loss ------------------------------------------------------------------------------------

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Tensor | None:
        """The weight of all batches of one optimizer step, over all processes."""
        if not batch_samples:
            return None
        total = torch.stack([self.method.weight(batch).to(device) for batch in batch_samples]).sum()
        return self.accelerator.gather(total).sum() if self.args.world_size > 1 else total

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """The method's loss; gradients are averaged over processes, so each gets its share of the divisor."""
        total = None if num_items_in_batch is None else num_items_in_batch / self.accelerator.num_processes
        outputs = self.method.loss(model, inputs, total_weight=total)
        return (outputs["loss"], {"logits": outputs["logits"]}) if return_outputs else outputs["loss"]

    # -- data and optimizer ------------------------------------------------------------------------

    def get_train_dataloader(self) -> Any:
        """Batches with augmentation."""
        if isinstance(self.train_dataset, IterableDataset):
            # Each process reads its own share of a stream; accelerate would deal it out anew and repeat samples.
            return DataLoader(
                self.train_dataset,
                batch_size=self._train_batch_size,
                collate_fn=self._train_collator,
                num_workers=self.args.dataloader_num_workers,
                pin_memory=self.args.dataloader_pin_memory,
                persistent_workers=self.args.dataloader_persistent_workers,
                prefetch_factor=self.args.dataloader_prefetch_factor,
            )
        kept, self.data_collator = self.data_collator, self._train_collator
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = kept

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self.dropped |= {entry.id: entry for entry in inputs.pop("dropped", ())}
        return super()._prepare_inputs(inputs)

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler | None:
        return self._sampler

    def _run_epoch(self, *args: Any, **settings: Any) -> None:
        # A resumed epoch skips batches through a wrapper that Trainer's own set_epoch does not reach into.
        if self.control.should_training_stop or self.state.global_step >= self.state.max_steps:
            # Resumed after its last step: Trainer itself would make one more.
            self.control.should_training_stop = True
            return
        if self._sampler is not None:
            self._sampler.set_epoch(settings["epoch"])
        super()._run_epoch(*args, **settings)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Trainer's optimizers and timm's, all with the same rule for weight decay."""
        trained = self.model if model is None else model
        if self.optimizer is None and self.args.optim not in TRAINER_NAMES:
            self.optimizer = build_timm_optimizer(
                trained,
                self.args.optim,
                learning_rate=self.args.learning_rate,
                weight_decay=self.args.weight_decay,
                optim_args=self.args.optim_args,
            )
        try:
            return super().create_optimizer(model)
        except (ValueError, TypeError, ImportError, RuntimeError, AttributeError) as error:
            raise UserError(
                f"--optim {getattr(self.args.optim, 'value', self.args.optim)} is refused: {error}"
            ) from None

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Trainer's schedules."""
        try:
            return super().create_scheduler(num_training_steps, optimizer)
        except (ValueError, TypeError) as error:
            name = self.args.lr_scheduler_type.value
            raise UserError(f"--lr_scheduler_type {name} needs other --lr_scheduler_kwargs: {error}") from None

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """All but biases, norms and what the model exempts."""
        decayed = {id(p) for group in parameter_groups(model, 1.0) if group["weight_decay"] for p in group["params"]}
        return [name for name, parameter in model.named_parameters() if id(parameter) in decayed]

    # -- checkpoints -------------------------------------------------------------------------------

    def _get_output_dir(self, trial: Any) -> str:
        return self._saving_to or super()._get_output_dir(trial)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Trainer's checkpoint, written aside, hashed and renamed by the first process."""
        run_dir = Path(super()._get_output_dir(trial))
        name = f"checkpoint-{self.state.global_step}"
        staging = run_dir / _STAGING
        if self.args.should_save:
            shutil.rmtree(staging, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self._saving_to = str(staging)
        try:
            with writing(run_dir):
                super()._save_checkpoint(model, trial)
        finally:
            self._saving_to = None
        best = run_dir / f"checkpoint-{self.state.best_global_step}" if self.state.best_global_step else None
        self.state.best_model_checkpoint = None if best is None else str(best)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            self.state.save_to_json(os.path.join(staging / name, TRAINER_STATE_NAME))
            # A pickle that nothing here reads.
            (staging / name / TRAINING_ARGS_NAME).unlink(missing_ok=True)
            publish_checkpoint(staging / name, run_dir / name)
            shutil.rmtree(staging, ignore_errors=True)
            rotate(run_dir, limit=self.args.save_total_limit, best=best)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            load_exactly(self.model if model is None else model, resume_from_checkpoint)

    def _init_training_state(self, *args: Any) -> Any:
        position = super()._init_training_state(*args)
        best = self.state.best_global_step
        if best and self.args.load_best_model_at_end:
            # The recorded path is where the run was then; the checkpoint is where the run is now.
            path = Path(self.args.output_dir, f"checkpoint-{best}")
            if (wrong := damage(path)) is not None:
                raise UserError(
                    f"The best checkpoint so far, {path}, is damaged ({wrong}): the run cannot go on exactly."
                )
            self.state.best_model_checkpoint = str(path)
        return position

    def _load_best_model(self) -> None:
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_best_model()
            return
        best = Path(self.state.best_model_checkpoint or self.args.output_dir)
        if (wrong := damage(best)) is not None:
            raise UserError(f"The best checkpoint {best} is damaged ({wrong}): resume from another one.")
        load_exactly(self.model, best)


def load_exactly(model: PreTrainedModel, checkpoint: str | Path) -> None:
    """Puts every tensor of a checkpoint into the model, or raises.

    Trainer's own way goes by the keys in the file, which several families (ViT, DeiT, Swin, BEiT, DINOv2) save under
    other names than they have in memory; it then leaves most weights as they were and only warns.
    """
    saved = type(model).from_pretrained(checkpoint, dtype=torch.float32, use_safetensors=True)
    model.load_state_dict(saved.state_dict(), strict=True)
