"""Soups: one network with the mean of the weights of several, which costs no more than one.

Wortsman et al. 2022, Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time, arXiv:2203.05482. Good for members that were fine-tuned from one start; of networks that began from
different random weights the mean is nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hfcls.ensembling.base import Case, Choice, log_loss_score
from hfcls.errors import UserError
from hfcls.models import Classifier, has_batch_norm
from hfcls.models.ensemble import match_inputs

# In what a network is, other than its class names.
_NAMES = ("id2label", "label2id", "label_names", "_name_or_path", "transformers_version", "architectures", "dtype")


def choose_whole_soup(case: Case) -> Choice:
    """All members alike."""
    count = len(case.probabilities)
    return Choice(np.full(count, 1 / count))


def select_soup(case: Case) -> Choice:
    """From the best member on, in the order of their scores, each that makes the soup no worse goes in.

    The soup is thus never worse on validation than the best member.
    """
    assert case.soup is not None
    scores = [case.score(one) for one in case.probabilities]
    # Of equal scores, as accuracies of few images often are, the lower log loss goes first.
    sureness = [log_loss_score(one, case.labels) for one in case.probabilities]
    order = np.lexsort((-np.asarray(sureness), -np.asarray(scores))).tolist()
    kept, best = [order[0]], scores[order[0]]
    steps: list[dict[str, Any]] = [{"added": order[0], "kept": True, case.metric: abs(best)}]
    for member in order[1:]:
        score = case.score(case.soup([*kept, member]))
        steps.append({"added": member, "kept": score >= best, case.metric: abs(score)})
        if score >= best:
            kept, best = [*kept, member], score
    weights = np.zeros(len(scores))
    weights[kept] = 1 / len(kept)
    return Choice(weights, steps)


def check_ingredients(members: Sequence[Classifier], names: Sequence[str]) -> tuple[str, ...]:
    """Whether the weights of the members can be averaged.

    Returns:
        Notices on members that resize or crop images otherwise than the first, whose way the soup takes.

    Raises:
        UserError: they are other networks, have other classes or another order of them, or see images otherwise.
    """
    first = members[0]
    for member, name in zip(members[1:], names[1:], strict=True):
        if _network(member) != _network(first) or _shapes(member) != _shapes(first):
            raise UserError(
                f"{names[0]} and {name} are not the same network: a soup is the mean of their weights, so choose "
                "average, weighted or greedy instead."
            )
        if member.class_names != first.class_names:
            raise UserError(
                f"{names[0]} and {name} have other classes, or another order of them: a soup needs the same."
            )
    _, inputs, notices = match_inputs(members, names)
    for name, change in zip(names, inputs, strict=True):
        if change is not None:
            raise UserError(
                f"{names[0]} and {name} normalize images by another mean or standard deviation: a soup needs the same, "
                "so choose average, weighted or greedy instead."
            )
    return tuple(notices)


def make_soup(members: Sequence[Classifier], batches: Callable[[], Iterable[Tensor]] | None) -> Classifier:
    """One network with the mean of the members' weights; of a single member that member, untouched.

    Args:
        members: one or more that `check_ingredients` lets pass.
        batches: training images as ``pixel_values``, on which statistics of batch normalization are taken anew; those
            of the members belong to other weights. Only asked for where there are any.

    Raises:
        UserError: there are statistics to be taken, and no images.
    """
    model = deepcopy(members[0].model).eval()
    if len(members) > 1:
        model.load_state_dict(_mean([member.model.state_dict() for member in members]))
        if has_batch_norm(model):
            if batches is None:
                raise UserError(
                    "A soup of networks with batch normalization needs training images, for its statistics: name them "
                    "with --train_dir or --dataset_name."
                )
            renew_statistics(model, batches())
    return Classifier(model, members[0].image_processor)


@torch.no_grad()
def renew_statistics(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Takes the statistics of batch normalization anew, in place; all else stays in evaluation mode.

    Args:
        batches: of ``pixel_values``, on any device; all count alike.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.train()
    device = next(model.parameters()).device
    for pixel_values in batches:
        model(pixel_values=pixel_values.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _mean(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Of each tensor of numbers, on the CPU, which has float64; counters are those of the first."""
    return {
        name: torch.stack([state[name].cpu().double() for state in states]).mean(dim=0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in states[0].items()
    }


def _network(member: Classifier) -> dict[str, Any]:
    config = member.model.config.to_diff_dict()
    return {key: value for key, value in config.items() if key not in _NAMES}


def _shapes(member: Classifier) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in member.model.state_dict().items()}
