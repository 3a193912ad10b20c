"""Averages of weights along a training, which are kept where validation says that they are better."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import load_file, save_file
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from transformers import PreTrainedModel, TrainerCallback, TrainerState
from transformers.trainer import TRAINER_STATE_NAME

from hfcls.training.checkpoints import checkpoint_step, list_checkpoints, load_exactly

# What an exact resume needs beside model.safetensors, where that holds other weights than those that learn.
TRAINED, AVERAGED = "trained.safetensors", "averaged.safetensors"


class MovingAverage(TrainerCallback):
    """Exponential moving average of all weights and normalization statistics (Polyak and Juditsky 1992).

    The first steps count for less: the decay rises as ``1 - (1 + step) ** (-2 / 3)`` up to its value.

    Args:
        decay: in (0, 1).

    Attributes:
        preferred: whether the newest evaluation found the average no worse; True where nothing was evaluated.
    """

    def __init__(self, model: nn.Module, decay: float):
        self._average = ModelEmaV3(model, decay=decay, use_warmup=True)
        self.preferred = True

    def on_step_end(self, args, state, control, model: nn.Module | None = None, **kwargs) -> None:
        """Takes in the weights of a step."""
        self._average.update(model, state.global_step)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged state of the network."""
        return self._average.module.state_dict()

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """The model has the averaged weights inside, its own again afterwards."""
        own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(self.state_dict())
        try:
            yield
        finally:
            model.load_state_dict(own)

    def load(self, checkpoint: Path) -> None:
        """Takes up what a checkpoint holds."""
        self._average.module.load_state_dict(load_file(checkpoint / AVERAGED))
        log = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME)).log_history
        said = [entry["eval_averaged"] for entry in log if "eval_averaged" in entry]
        self.preferred = bool(said[-1]) if said else True


def save_state(state: dict[str, Tensor], file: Path) -> None:
    """Writes a state as it is in memory, names and all."""
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}, file)


def average_checkpoints(model: PreTrainedModel, run_dir: Path, number: int) -> tuple[dict[str, Tensor], list[int]]:
    """The mean of the weights in the newest checkpoints, each with equal weight (Izmailov et al. 2018).

    Returns:
        The state, and the steps of the checkpoints in it, newest first.
    """
    chosen = list_checkpoints(run_dir)[:number]
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sums: dict[str, Tensor] = {}
    for checkpoint in chosen:
        load_exactly(model, checkpoint)
        for name, tensor in model.state_dict().items():
            wide = tensor.double() if tensor.is_floating_point() else tensor.clone()
            # Counters are not averaged: those of the newest stay.
            sums[name] = sums[name] + wide if name in sums and wide.is_floating_point() else sums.get(name, wide)
    model.load_state_dict(own)
    mean = {
        name: (total / len(chosen)).to(own[name].dtype) if total.is_floating_point() else total
        for name, total in sums.items()
    }
    return mean, [checkpoint_step(path) or 0 for path in chosen]
