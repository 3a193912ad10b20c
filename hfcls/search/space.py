"""What may vary: dimensions from a YAML file, each a flag of a training, checked before anything trains."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from hfcls.arguments import DataArguments
from hfcls.errors import UserError
from hfcls.extras import require
from hfcls.parsing import Flag, Parser, flags_of

_DATA = "it decides which images there are, and trials on different images cannot be compared"
_SEED = "the luckiest seed is no better a setting"
_COMPARED = "trials are compared by it"
_OURS = "it changes nothing that is learned"
# Flags that no trial may have for itself, with the reason.
_FIXED: dict[str, str] = {
    **{flag.name: _DATA for flag in flags_of(DataArguments) if flag.name != "max_train_samples"},
    **dict.fromkeys(("seed", "data_seed", "full_determinism"), _SEED),
    **dict.fromkeys(("metric_for_best_model", "greater_is_better", "load_best_model_at_end"), _COMPARED),
    **dict.fromkeys(("output_dir", "overwrite_output_dir", "resume_from_checkpoint"), "each trial has its own place"),
    **dict.fromkeys(("cache_gb", "report_to", "run_name", "project", "disable_tqdm", "use_cpu", "trackio"), _OURS),
    **dict.fromkeys(("per_device_eval_batch_size", "model_revision", "trust_remote_code", "allow_pickle"), _OURS),
}
_FIXED_BEGINNINGS = {
    **dict.fromkeys(("eval_", "save_"), "trials are compared evaluation by evaluation"),
    **dict.fromkeys(("log", "dataloader_", "ddp_", "hub_", "accelerator_"), _OURS),
}
_RANGE = ("low", "high", "step", "log", "points")


@dataclass(frozen=True)
class Dimension:
    """One flag that varies: over `choices`, or from `low` to `high`.

    Attributes:
        choices: the values, where they are listed; None among them leaves the flag out.
        low, high: the ends of a range, both in it.
        step: the range holds low, low + step, ... alone.
        log: the range is even in the logarithm.
        points: how many values of the range a grid tries.
        whole: the range holds whole numbers alone.
    """

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    points: int | None = None
    whole: bool = False

    @property
    def numeric(self) -> bool:
        """Whether its values have an order."""
        return not self.choices or all(isinstance(c, int | float) and not isinstance(c, bool) for c in self.choices)

    def distribution(self) -> Any:
        """The same, as optuna has it."""
        distributions = require("optuna", extra="search").distributions
        if self.choices:
            return distributions.CategoricalDistribution(self.choices)
        if self.whole:
            return distributions.IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return distributions.FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def grid(self) -> list[Any]:
        """The values that a grid tries.

        Raises:
            UserError: a range without end.
        """
        if self.choices:
            return list(self.choices)
        if self.points is None and (self.step is None and not self.whole):
            raise UserError(
                f"{self.name} is a range, of which a grid cannot try all values: say how many, such as points: 5, or "
                "how far apart, by step."
            )
        if self.points is None:
            step = Decimal(str(self.step or 1))
            count = int((Decimal(str(self.high)) - Decimal(str(self.low))) / step) + 1
            values: list[float] = [float(Decimal(str(self.low)) + i * step) for i in range(count)]
        else:
            low, high = (math.log(end) if self.log else end for end in (self.low, self.high))
            inner = [low + (high - low) * i / (self.points - 1) for i in range(1, self.points - 1)]
            values = [self.low, *(math.exp(v) if self.log else v for v in inner), self.high]
        return list(dict.fromkeys(round(v) for v in values)) if self.whole else values


@dataclass(frozen=True)
class Space:
    """All that varies.

    Attributes:
        dimensions: in the order of the file.
    """

    dimensions: tuple[Dimension, ...]

    def distributions(self) -> dict[str, Any]:
        """By name, as optuna has them."""
        return {one.name: one.distribution() for one in self.dimensions}

    def count_grid(self) -> int:
        """How many combinations a grid has.

        Raises:
            UserError: see `Dimension.grid`.
        """
        return math.prod(len(one.grid()) for one in self.dimensions)

    def grid_point(self, number: int) -> dict[str, Any]:
        """A combination by its number; the last dimension changes first."""
        point = {}
        for one in reversed(self.dimensions):
            values = one.grid()
            number, at = divmod(number, len(values))
            point[one.name] = values[at]
        return {one.name: point[one.name] for one in self.dimensions}


def read_space(path: str, parser: Parser, fixed: Mapping[str, Any], *, grid: bool) -> Space:
    """Reads and checks the file.

    Args:
        parser: knows all flags of a training.
        fixed: flags that all trials share.
        grid: the strategy tries combinations.

    Raises:
        UserError: it cannot be read, a flag is unknown, cannot vary or varies in no way, or a value is not the flag's.
    """
    try:
        content = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--space {path} cannot be read: {getattr(error, 'strerror', error)}.") from None
    except yaml.YAMLError as error:
        raise UserError(f"--space {path} is not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict) or not content:
        raise UserError(f"--space {path}: expected lines of `flag: [choice, choice]` or `flag: {{low: 1, high: 2}}`.")
    for name in content:
        parser.check({str(name): None})
        reason = _reason_to_stay(str(name))
        if reason is not None:
            raise UserError(f"{name} cannot vary from trial to trial: {reason}.")
        if fixed.get(str(name)) is not None:
            raise UserError(f"--{name} is given, and {path} varies it: leave one of the two out.")
    space = Space(tuple(_read_dimension(parser.flags[name], value) for name, value in content.items()))
    if grid:
        space.count_grid()
    for one in space.dimensions:
        if one.points is not None and not grid:
            raise UserError(f"{one.name}: points would have no effect without --strategy grid.")
    return space


def _reason_to_stay(name: str) -> str | None:
    for beginning, reason in _FIXED_BEGINNINGS.items():
        if name.startswith(beginning):
            return reason
    return _FIXED.get(name)


def _read_dimension(flag: Flag, value: Any) -> Dimension:
    if isinstance(value, list):
        return _read_choices(flag, value)
    if not isinstance(value, dict):
        raise UserError(
            f"{flag.name} is {value!r}: expected a list of choices or a range such as {{low: 1, high: 2}}; what does "
            f"not vary is a flag, --{flag.name}."
        )
    return _read_range(flag, value)


def _read_choices(flag: Flag, value: Sequence[Any]) -> Dimension:
    for choice in value:
        if isinstance(choice, list | dict):
            raise UserError(f"{flag.name} has the choice {choice!r}: expected single values.")
    choices = tuple(None if choice is None else _convert(flag, choice) for choice in value)
    if len(choices) < 2 or len({(type(c), c) for c in choices}) < len(choices):
        raise UserError(f"{flag.name} is {list(value)!r}: expected two different choices or more.")
    return Dimension(flag.name, choices=choices)


def _read_range(flag: Flag, value: Mapping[str, Any]) -> Dimension:
    name = flag.name
    odd = [key for key in value if key not in _RANGE]
    if odd or not {"low", "high"} <= value.keys():
        what = f"the key {odd[0]!r}" if odd else "no low or no high"
        raise UserError(f"{name} has {what}: a range has low and high and may have {', '.join(_RANGE[2:])}.")
    if flag.is_bool or flag.choices or not ("int" in flag.annotation or "float" in flag.annotation):
        raise UserError(f"{name} is no number and has no range: give a list of choices.")
    whole = "float" not in flag.annotation
    low, high = _convert(flag, value["low"]), _convert(flag, value["high"])
    step = None if value.get("step") is None else _convert(flag, value["step"])
    log, points = value.get("log", False), value.get("points")
    if not isinstance(log, bool):
        raise UserError(f"{name}: log is {log!r}: expected true or false.")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"{name} goes from {low:g} to {high:g}: expected low below high.")
    if log and low <= 0:
        raise UserError(f"{name} goes from {low:g}: a range with log: true begins above 0.")
    if step is not None and (log or points is not None):
        raise UserError(f"{name} has a step and {'log: true' if log else 'points'}: give one of the two.")
    if step is not None and (step <= 0 or (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step))):
        raise UserError(f"{name}: from {low:g} steps of {step:g} do not lead to {high:g}.")
    if points is not None and (not isinstance(points, int) or isinstance(points, bool) or points < 2):
        raise UserError(f"{name}: points is {points!r}: expected a whole number from 2 on.")
    return Dimension(name, low=low, high=high, step=step, log=log, points=points, whole=whole)


def _convert(flag: Flag, value: Any) -> Any:
    converted = flag.convert(value)
    return converted[0] if isinstance(converted, list) and len(converted) == 1 else converted
