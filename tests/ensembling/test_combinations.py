"""Which members count, and how much: against the general optimizer, a search of all choices, and sums by hand."""

import itertools
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from hfcls.command_arguments import COMBINATION_NAMES
from hfcls.ensembling import COMBINATIONS, METRICS, Case
from hfcls.ensembling.mixtures import mixture_weights
from hfcls.ensembling.soups import check_ingredients, make_soup, renew_statistics, select_soup
from hfcls.errors import UserError
from hfcls.models import build_classifier

LABELS = np.random.default_rng(0).integers(0, 3, 200)


def answers(seed: int, sharpness: float) -> np.ndarray:
    """Of one member: Gaussian logits, higher for the true class."""
    logits = np.random.default_rng(seed).normal(size=(200, 3))
    logits[np.arange(200), LABELS] += sharpness
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


MEMBERS = np.stack([answers(1, 1.5), answers(2, 1.0), answers(3, 0.2), answers(4, -2.0)])


def loss(weights: np.ndarray) -> float:
    return -METRICS["log_loss"](np.tensordot(weights, MEMBERS, axes=1), LABELS)


def test_the_flag_offers_the_registry():
    assert tuple(COMBINATIONS) == COMBINATION_NAMES


def test_mixture_weights_are_those_of_a_general_optimizer():
    found = mixture_weights(MEMBERS, LABELS)
    wanted = minimize(
        lambda w: loss(w / w.sum()), np.full(4, 0.25), bounds=[(1e-9, 1)] * 4, method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-9},
    ).x  # fmt: skip
    # The optimizer stops where the gradient is about 1e-6.
    np.testing.assert_allclose(found, wanted / wanted.sum(), atol=1e-3)
    assert loss(found) <= loss(wanted / wanted.sum()) + 1e-9
    choice = COMBINATIONS["weighted"].choose(Case(MEMBERS, LABELS))
    assert choice.weights[3] == 0 and choice.weights.sum() == pytest.approx(1)


def test_greedy_selection_adds_what_helps_most():
    choice = COMBINATIONS["greedy"].choose(Case(MEMBERS, LABELS))
    singles = [loss(row) for row in np.eye(4)]
    assert choice.steps[0] == {"added": int(np.argmin(singles)), "log_loss": pytest.approx(min(singles))}
    second = [loss((np.eye(4)[choice.steps[0]["added"]] + row) / 2) for row in np.eye(4)]
    assert choice.steps[1] == {"added": int(np.argmin(second)), "log_loss": pytest.approx(min(second))}
    assert choice.steps[-1]["log_loss"] == pytest.approx(loss(choice.weights))
    # No choice of four members with replacement is better by more than what a round must gain.
    best = min(loss(np.bincount(c, minlength=4) / 4) for c in itertools.combinations_with_replacement(range(4), 4))
    assert loss(choice.weights) < best + 1e-3
    bagged = COMBINATIONS["greedy"].choose(Case(MEMBERS, LABELS, bags=8, seed=1))
    assert len(bagged.steps) == 8 and all(len(step["bag"]) == 2 for step in bagged.steps)
    assert bagged.weights.sum() == pytest.approx(1) and bagged.weights.argmax() == 0


def test_a_greedy_soup_takes_what_makes_it_no_worse():
    right = np.eye(3)[LABELS]
    wrong = np.eye(3)[(LABELS + 1) % 3]
    members = np.stack([np.where(np.arange(200)[:, None] < good, right, wrong) for good in (100, 150, 120)])
    made = []

    def soup(chosen):
        made.append(list(chosen))
        return {(1, 2): members[0], (1, 0): right}[tuple(chosen)]

    choice = select_soup(Case(members, LABELS, metric="accuracy", soup=soup))
    assert made == [[1, 2], [1, 0]] and choice.weights.tolist() == [0.5, 0.5, 0]
    assert [step["accuracy"] for step in choice.steps] == [0.75, 0.5, 1.0]
    # Of two that are right as often, the one that is less sure of its mistakes goes first.
    tied = np.stack([members[1], 0.9 * members[1] + 0.1 / 3])
    assert select_soup(Case(tied, LABELS, metric="accuracy", soup=lambda _: wrong)).weights.tolist() == [0, 1]


def test_a_soup_is_the_mean_of_the_weights_with_statistics_of_its_own():
    names = ("a", "b")
    members = []
    for seed in range(3):
        torch.manual_seed(seed)
        members.append(build_classifier("cifar_resnet20", class_names=names, image_size=16))
    images = torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    made = make_soup(members, lambda: images.split(20))
    mean = torch.stack([member.model.linear.weight for member in members]).mean(dim=0)
    torch.testing.assert_close(made.model.linear.weight, mean)
    first = made.model.conv1(images)
    torch.testing.assert_close(made.model.bn1.running_mean, first.mean(dim=(0, 2, 3)), atol=1e-5, rtol=1e-4)
    # Variances are those within each of the two batches, as torch takes them.
    within = torch.stack([part.var(dim=(0, 2, 3)) for part in first.split(20)]).mean(dim=0)
    torch.testing.assert_close(made.model.bn1.running_var, within, atol=1e-4, rtol=1e-3)
    assert not any(module.training for module in made.model.modules())
    assert made.model.bn1.momentum == members[0].model.bn1.momentum
    with pytest.raises(UserError, match="needs training images"):
        make_soup(members, None)
    assert torch.equal(make_soup(members[:1], None).model.bn1.running_var, members[0].model.bn1.running_var)
    other = build_classifier("simple_cnn", class_names=names, image_size=16)
    with pytest.raises(UserError, match="one and other are not the same network"):
        check_ingredients([members[0], other], ["one", "other"])
    turned = build_classifier("cifar_resnet20", class_names=names[::-1], image_size=16)
    with pytest.raises(UserError, match="another order"):
        check_ingredients([members[0], turned], ["one", "turned"])
    shifted = deepcopy(members[1].image_processor)
    shifted.image_mean = [0.1, 0.2, 0.3]
    with pytest.raises(UserError, match="one and shifted normalize images by another mean"):
        check_ingredients([members[0], replace(members[1], image_processor=shifted)], ["one", "shifted"])
    assert check_ingredients(members, ["one", "two", "three"]) == ()


def test_only_the_statistics_change():
    model = nn.Sequential(nn.BatchNorm2d(2, momentum=0.3), nn.Dropout(0.5))
    model.forward = lambda pixel_values: nn.Sequential.forward(model, pixel_values)  # type: ignore[method-assign]
    images = torch.randn(8, 2, 3, 3) * 3 + 1
    renew_statistics(model, [images])
    torch.testing.assert_close(model[0].running_mean, images.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(model[0].weight, torch.ones(2))
