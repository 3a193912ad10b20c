"""What a step of the suite is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfcls.evaluation.suite.subject import Subject
from hfcls.uncertainty.strangers import Seen

# A reason of several steps.
WITHOUT_TRAIN = (
    "it needs images that the network learned from, and there is no train split beside the measured one: name it with "
    "--train_dir"
)


class CannotDoError(Exception):
    """A step cannot be done with this network or this data; its text says why, for the page."""


def check_numbers(seen: Seen, name: str) -> None:
    """Whether scores can be computed of what a network makes of images.

    Args:
        seen: logits and, where they are at hand, features.
        name: of the images, for people.

    Raises:
        CannotDoError: some of it are not numbers.
    """
    for part in (seen.logits, seen.features):
        if part is not None and not np.isfinite(part).all():
            raise CannotDoError(f"what the network makes of some images of {name} are not numbers")


@dataclass(frozen=True)
class Step:
    """One row of ``STEPS``.

    Attributes:
        title: the heading.
        run: from what is measured to what is found, ready for JSON; the same again whenever it is run. ``passes`` says
            how many images went through the network for it, beyond the one pass of each measured image.
        reads: what it hangs on beside the network, the split and what is fitted on: "train", "strangers".
        suits: whether there is anything to do for a model; nothing is said where there is not. All where None.
    """

    title: str
    run: Callable[[Subject], dict[str, Any]]
    reads: tuple[str, ...] = ()
    suits: Callable[[Subject], bool] | None = None
