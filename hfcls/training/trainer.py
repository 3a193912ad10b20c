"""The only Trainer subclass: the method's loss, exact loading, checkpoints that are whole or not there."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from transformers import ProgressCallback, Trainer
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME

from hfcls.data.batches import EpochSampler
from hfcls.data.workers import WorkerStart
from hfcls.errors import UserError
from hfcls.methods import Method
from hfcls.models import Freezing, frozen_modules, has_lora, merge_lora, plain_weights
from hfcls.training.averaging import AVERAGED, TRAINED, MovingAverage, average_checkpoints, save_state
from hfcls.training.checkpoints import damage, load_exactly, publish_checkpoint, rotate
from hfcls.training.optimizers import TRAINER_NAMES, build_timm_optimizer, parameter_groups, scale_learning_rates
from hfcls.training.run_directory import writing
from hfcls.training.snapshots import Snapshots, snapshot_steps

_STAGING = ".checkpoint-in-progress"


class ClassifierTrainer(Trainer):
    """Trains a classifier by a method.

    Args:
        method: gives the loss and owns its scaling.
        freezing: which stages learn, from which epoch on; all of them where None.
        rates: what the learning rate of each parameter is multiplied with, by name; 1 where it is not in there.
        snapshots: how many times the learning rate falls to 0; the checkpoints of these steps are kept.
        ema_decay: of a moving average of the weights, evaluated beside them and kept where it is better.
        sampler: the order of the training images, a function of (seed, epoch); None for a stream, which has its own.
        train_collator: builds the training batches, with augmentation; ``data_collator`` builds all others.
        settings: what `transformers.Trainer` takes.
    """

    # compute_loss divides by the weight of the whole optimizer step: Trainer must not divide again.
    loss_is_scaled_for_ga = True
    data_collator: Any
    optimizer: Any

    def __init__(
        self,
        *,
        method: Method,
        sampler: EpochSampler | None,
        train_collator: Any,
        freezing: Freezing | None = None,
        rates: dict[str, float] | None = None,
        ema_decay: float | None = None,
        snapshots: int | None = None,
        **settings: Any,
    ):
        super().__init__(**settings)
        self.method = method
        self.freezing = freezing
        self._rates = rates or {}
        self._average = None if ema_decay is None else MovingAverage(self.model, ema_decay)
        self._held: list[nn.Module] = []
        if self._average is not None:
            self.add_callback(self._average)
        self._snapshots = snapshots
        if snapshots is not None:
            self.add_callback(Snapshots(snapshots))
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
        if model.training:
            for module in self._held:
                module.eval()
        total = None if num_items_in_batch is None else num_items_in_batch / self.accelerator.num_processes
        outputs = self.method.loss(model, inputs, total_weight=total)
        return (outputs["loss"], {"logits": outputs["logits"]}) if return_outputs else outputs["loss"]

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """0, not counted: Trainer does it by a formula for text, in every step."""
        return 0

    # -- data and optimizer ------------------------------------------------------------------------

    def get_train_dataloader(self) -> Any:
        """Batches with augmentation."""
        if isinstance(self.train_dataset, IterableDataset):
            # Each process reads its own share of a stream; accelerate would deal it out anew and repeat samples.
            return DataLoader(
                self.train_dataset,
                batch_size=self._train_batch_size,
                collate_fn=self._train_collator,
                worker_init_fn=WorkerStart(),
                num_workers=self.args.dataloader_num_workers,
                pin_memory=self.args.dataloader_pin_memory,
                persistent_workers=self.args.dataloader_persistent_workers,
                prefetch_factor=self.args.dataloader_prefetch_factor,
            )
        kept, self.data_collator = self.data_collator, self._train_collator
        try:
            loader = super().get_train_dataloader()
        finally:
            self.data_collator = kept
        return _ending(loader)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Batches without."""
        return _ending(super().get_eval_dataloader(eval_dataset))

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self.dropped |= {entry.id: entry for entry in inputs.pop("dropped", ())}
        inputs = super()._prepare_inputs(inputs)
        return self._train_collator.finish(inputs) if "pixels" in inputs else inputs

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
        if self.freezing is not None:
            self.freezing.apply(self.model, settings["epoch"])
        self._held = frozen_modules(self.model)
        super()._run_epoch(*args, **settings)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Trainer's optimizers and timm's, all with the same rule for weight decay."""
        trained = self.model if model is None else model
        fresh = self.optimizer is None
        if self.freezing is not None:
            self.freezing.apply_widest(trained)
        if self.optimizer is None and self.args.optim not in TRAINER_NAMES:
            self.optimizer = build_timm_optimizer(
                trained,
                self.args.optim,
                learning_rate=self.args.learning_rate,
                weight_decay=self.args.weight_decay,
                optim_args=self.args.optim_args,
            )
        try:
            optimizer = super().create_optimizer(model)
            if fresh and self._rates:
                scale_learning_rates(optimizer, {p: self._rates.get(n, 1.0) for n, p in trained.named_parameters()})
            return optimizer
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
            ends = () if self._snapshots is None else snapshot_steps(self.state.max_steps, self._snapshots)
            snapshots = {run_dir / f"checkpoint-{step}" for step in ends}
            rotate(run_dir, limit=self.args.save_total_limit, best=best, always=snapshots)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """The weights that were evaluated as a plain network; where others learn, those beside it."""
        if self._average is None and not has_lora(self.model):
            super()._save(output_dir, state_dict)
            return
        super()._save(output_dir, self._evaluated_weights())
        if self.args.should_save:
            directory = Path(output_dir or self.args.output_dir)
            save_state(self.model.state_dict(), directory / TRAINED)
            if self._average is not None:
                save_state(self._average.state_dict(), directory / AVERAGED)

    def _evaluated_weights(self) -> dict[str, Tensor]:
        if self._average is None or not self._average.preferred:
            return plain_weights(self.model)
        with self._average.in_place_of(self.model):
            return plain_weights(self.model)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        trained = Path(resume_from_checkpoint, TRAINED)
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        elif trained.is_file():
            self.model.load_state_dict(load_file(trained))
            if self._average is not None:
                self._average.load(trained.parent)
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
        merge_lora(self.model)
        load_exactly(self.model, best)

    # -- weights to keep ---------------------------------------------------------------------------

    def evaluation_loop(self, dataloader: Any, description: str, *args: Any, **settings: Any) -> Any:
        """Trainer's; with an average once for each of the two, and the better one's figures come out."""
        own = super().evaluation_loop(dataloader, description, *args, **settings)
        prefix = settings.get("metric_key_prefix", "eval")
        if self._average is None or prefix != "eval":
            return own
        self._close_bars()
        with self._average.in_place_of(self.model):
            averaged = super().evaluation_loop(dataloader, description, *args, **settings)
        name = self._metric_name()
        self._average.preferred = not self._better(own.metrics[name], averaged.metrics[name])
        chosen = averaged if self._average.preferred else own
        chosen.metrics["eval_averaged"] = float(self._average.preferred)
        return chosen

    def keep_plain_network(self) -> None:
        """After the last step: adapters are merged, and an average is put in where no best checkpoint was loaded."""
        if self.args.load_best_model_at_end and self.state.best_model_checkpoint:
            return  # what was loaded is plain
        if self._average is not None and self._average.preferred:
            self.model.load_state_dict(self._average.state_dict())
        merge_lora(self.model)

    def keep_average_of_checkpoints(self, number: int) -> str:
        """Puts the mean of the newest checkpoints into the model where validation says that it is better.

        Returns:
            What was done, in a sentence.
        """
        mean, steps = average_checkpoints(self.model, Path(self.args.output_dir), number)
        listed = ", ".join(map(str, reversed(steps)))
        if len(steps) < 2:
            return "There are fewer than two checkpoints: nothing was averaged."
        before = None if self.eval_dataset is None else self._validation_figure()
        own = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.model.load_state_dict(mean)
        if before is None:
            return f"The average of checkpoints {listed} was kept, unseen by any validation."
        after, name = self._validation_figure(), self._metric_name().removeprefix("eval_")
        if self._better(after, before):
            return (
                f"The average of checkpoints {listed} was kept: validation {name} {after:.4f} instead of {before:.4f}."
            )
        self.model.load_state_dict(own)
        return (
            f"The average of checkpoints {listed} was not kept: validation {name} {after:.4f}, {before:.4f} without it."
        )

    def _validation_figure(self) -> float:
        output = super().evaluation_loop(self.get_eval_dataloader(), "Evaluation")
        self._close_bars()
        return output.metrics[self._metric_name()]

    def _metric_name(self) -> str:
        return f"eval_{(self.args.metric_for_best_model or 'loss').removeprefix('eval_')}"

    def _better(self, one: float, other: float) -> bool:
        return one > other if self.args.greater_is_better else one < other

    def _close_bars(self) -> None:
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, ProgressCallback):
                callback.on_evaluate(self.args, self.state, self.control)


def _ending(loader: Any) -> Any:
    """The loader, with workers that end with this process."""
    inner = getattr(loader, "base_dataloader", loader)  # accelerate's own asks another one for its batches
    if not isinstance(inner.worker_init_fn, WorkerStart):
        inner.worker_init_fn = WorkerStart(inner.worker_init_fn)
    return loader
