"""Which parts of a network learn, and from which epoch on."""

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from hfcls.errors import UserError
from hfcls.models.stages import find_stages


@dataclass(frozen=True)
class Freezing:
    """A plan over the stages of a network.

    Attributes:
        stages: names by depth, the classifier head last, of the parameters that learn where nothing is frozen.
        starts: for each stage the epoch (0, 1, ...) from which it learns; None: never.
    """

    stages: tuple[tuple[str, ...], ...]
    starts: tuple[int | None, ...]

    @property
    def changes(self) -> bool:
        """Whether more parameters learn later than at first."""
        return any(self.starts)

    def learning(self, epoch: int) -> set[str]:
        """Names of the parameters that learn in an epoch."""
        return {
            name
            for stage, start in zip(self.stages, self.starts, strict=True)
            if start is not None and start <= epoch
            for name in stage
        }

    def apply(self, model: nn.Module, epoch: int) -> None:
        """Lets the parameters of that epoch ask for gradients, and no others."""
        learning = self.learning(epoch)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in learning)

    def apply_widest(self, model: nn.Module) -> None:
        """As in the last epoch: what an optimizer has to know from the start."""
        self.apply(model, max(start for start in self.starts if start is not None))

    def describe(self) -> str:
        """One line for the user."""
        frozen = sum(start is None for start in self.starts)
        later = sorted({start for start in self.starts if start})
        parts = [f"{frozen} of {len(self.starts)} stages stay frozen"] if frozen else []
        if len(later) == 1 and sum(start == 0 for start in self.starts) == 1:
            parts.append(f"the head learns alone for {_epochs(later[0])}")
        elif later:
            parts.append(f"stages join after {', '.join(map(str, later))} epochs, from the head down")
        return "; ".join(parts)


def build_freezing(
    model: PreTrainedModel, *, freeze: str = "none", probe_epochs: int | None = None, unfreeze_every: int | None = None
) -> Freezing:
    """What the flags say.

    Args:
        freeze: ``none``; ``backbone``, all but the classifier head; or a number, so many stages from the image on.
        probe_epochs: the head learns alone so long, then all that is not frozen (linear probing, then fine-tuning;
            Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features).
        unfreeze_every: one more stage learns every so many epochs, from the head down (gradual unfreezing; Howard and
            Ruder 2018, Universal Language Model Fine-tuning).

    Raises:
        UserError: a value out of range, or flags that contradict each other.
    """
    # Some networks hold a part of themselves fixed from the start.
    learn = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    stages = [[name for name in stage if name in learn] for stage in find_stages(model)]
    top = len(stages) - 1
    frozen = _frozen_stages(freeze, top)
    for name, value in (("probe_epochs", probe_epochs), ("unfreeze_every", unfreeze_every)):
        if value is None:
            continue
        if value < 1:
            raise UserError(f"--{name} is {value}: expected 1 or more.")
        if frozen == top:
            raise UserError(
                f"--{name} would have no effect: with --freeze {freeze} the head learns alone all the time."
            )
    if probe_epochs and unfreeze_every:
        raise UserError("--probe_epochs and --unfreeze_every are two ways to begin with the head: give one of them.")
    starts: list[int | None] = [None] * frozen + [0] * (len(stages) - frozen)
    for depth in range(frozen, top):
        starts[depth] = probe_epochs or (top - depth) * (unfreeze_every or 0)
    return Freezing(tuple(map(tuple, stages)), tuple(starts))


def frozen_modules(model: nn.Module) -> list[nn.Module]:
    """The outermost modules that have parameters, none of which asks for gradients.

    In training they are to be held in evaluation mode: normalization statistics stay as they are, and nothing is
    dropped on the way to what learns.
    """
    parameters = list(model.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        return [model]
    return [module for child in model.children() for module in frozen_modules(child)]


def _frozen_stages(freeze: str, top: int) -> int:
    if freeze in {"none", "backbone"}:
        return top if freeze == "backbone" else 0
    if not str(freeze).isdecimal():
        raise UserError(f"--freeze is {freeze!r}: expected backbone, none or a number of stages (1 to {top}).")
    if not 1 <= int(freeze) <= top:
        raise UserError(
            f"--freeze is {freeze}: expected 1 to {top}, since this network has {top} stages below its head; "
            "`none` freezes nothing."
        )
    return int(freeze)


def _epochs(number: int) -> str:
    return f"{number} epoch{'' if number == 1 else 's'}"
