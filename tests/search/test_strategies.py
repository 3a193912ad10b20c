"""What strategies propose and pruners judge, without any training."""

from types import SimpleNamespace

import numpy as np
import optuna
import pytest

from hfcls.command_arguments import PRUNER_NAMES, STRATEGY_NAMES
from hfcls.search import PRUNERS, STRATEGIES
from hfcls.search.proposals import DRAWN, PROPOSED, Proposals
from hfcls.search.pruning import Pruner, bracket_of, prune_by_hyperband, rungs_of
from hfcls.search.space import Dimension, Space
from hfcls.search.trial import Pruned, Watch

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = Space(
    (
        Dimension("learning_rate", low=1e-4, high=1e-1, log=True, points=4),
        Dimension("image_size", low=16, high=64, step=16, whole=True),
        Dimension("optim", choices=("adamw_torch", None, "nesterov")),
    )
)


def run(strategy: str, trials: int, *, seed: int = 0, study: optuna.Study | None = None) -> optuna.Study:
    """A search for a learning rate near 0.01 and a small image."""
    if study is None:
        study = optuna.create_study(direction="minimize")
    for _ in range(trials):
        study.sampler = Proposals(SPACE, STRATEGIES[strategy], seed=seed, startup=4)
        trial = study.ask(SPACE.distributions())
        study.tell(trial, value_of(trial.params))
    return study


def value_of(params: dict) -> float:
    return abs(np.log10(params["learning_rate"]) + 2) + params["image_size"] / 64 + (params["optim"] is None)


def test_flags_and_tables_name_the_same():
    assert set(STRATEGY_NAMES) == STRATEGIES.keys() and set(PRUNER_NAMES) == PRUNERS.keys()


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_trial_that_is_asked_for_again_has_the_same_settings(name):
    study = run(name, 6)
    trial = study.ask()
    for again in range(2):
        orphan = optuna.trial.Trial(study, trial._trial_id)
        if again == 0:
            size = orphan.suggest_int("image_size", 16, 64, step=16)  # killed after the first of its settings
        else:
            assert orphan.suggest_int("image_size", 16, 64, step=16) == size
    rate = orphan.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    undisturbed = run(name, 7).trials[-1].params
    assert (size, rate) == (undisturbed["image_size"], undisturbed["learning_rate"])


@pytest.mark.parametrize("name", STRATEGIES)
def test_proposals_are_in_the_space_and_hang_on_the_seed(name):
    study = run(name, 8)
    for trial in study.trials:
        assert 1e-4 <= trial.params["learning_rate"] <= 1e-1
        assert trial.params["image_size"] in (16, 32, 48, 64)
        assert trial.params["optim"] in ("adamw_torch", None, "nesterov")
    drawn = [trial.user_attrs.get(DRAWN) == PROPOSED for trial in study.trials]
    assert drawn == [STRATEGIES[name].learns and number >= 4 for number in range(8)]
    if not STRATEGIES[name].combines:
        assert run(name, 1, seed=1).trials[0].params != study.trials[0].params


def test_those_that_learn_come_nearer_than_luck():
    # By far at 40 trials of so smooth a function: the mean of the last ten tells them apart in every seed tried.
    means = {name: np.mean([one.value for one in run(name, 40).trials[-10:]]) for name in ("random", "tpe", "gp")}
    assert means["tpe"] < 0.7 * means["random"] and means["gp"] < 0.7 * means["random"]


def test_a_grid_tries_each_combination_once():
    points = {tuple(trial.params.values()) for trial in run("grid", 48).trials}
    assert len(points) == SPACE.count_grid() == 48


@pytest.mark.parametrize("name", PRUNERS)
def test_a_verdict_is_the_same_when_asked_for_again(name):
    study = optuna.create_study(direction="maximize")
    study.pruner = Pruner(PRUNERS[name], 9)
    verdicts = []
    for curve in np.random.default_rng(0).random((30, 9)):
        trial = study.ask()
        for step, value in enumerate(curve, start=1):
            trial.report(value, step)
            verdict = trial.should_prune()
            assert optuna.trial.Trial(study, trial._trial_id).should_prune() == verdict
            if verdict:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])
        verdicts.append(verdict)
    assert any(verdicts) == (name != "none") and not all(verdicts)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_hyperband_judges_as_successive_halving_does(direction, monkeypatch):
    """Within one bracket, where optuna's own is asked once after each evaluation."""
    monkeypatch.setattr("hfcls.search.pruning.bracket_of", lambda number, longest: 0)
    ours, theirs = (optuna.create_study(direction=direction) for _ in range(2))
    ours.pruner = Pruner(prune_by_hyperband, 10)
    theirs.pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    ended = []
    for curve in np.random.default_rng(1).random((60, 9)):  # at 9 evaluations both judge a third time
        lengths = []
        for study in (ours, theirs):
            trial = study.ask()
            for step, value in enumerate(curve, start=1):
                trial.report(value, step)
                if trial.should_prune():
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    break
            else:
                study.tell(trial, value)
            lengths.append(step)
        ended.append(lengths)
    assert all(one == other for one, other in ended)
    assert {one for one, _ in ended} == {1, 3, 9}


def test_brackets_have_the_shares_of_hyperbands_budgets():
    # For 9 evaluations: three brackets with budgets of ceil(3 * 9 / 3), ceil(3 * 3 / 2) and 3, so 9, 5 and 3 of 17.
    counts = np.bincount([bracket_of(number, 9) for number in range(3000)])
    np.testing.assert_allclose(counts / 3000, np.array([9, 5, 3]) / 17, atol=0.03)  # four standard deviations
    assert [rungs_of(bracket, 9) for bracket in range(3)] == [[1, 3], [3], []]


def test_a_trial_that_goes_on_is_judged_before_it_trains_and_reports_nothing_twice():
    study = optuna.create_study(direction="maximize")
    study.pruner = Pruner(PRUNERS["median"], 0)
    for _ in range(5):
        good = study.ask()
        for step in (1, 2, 3):
            good.report(0.9, step)
        study.tell(good, 0.9)
    trial = study.ask()
    log = [{"eval_accuracy": 0.1, "step": 1}, {"loss": 2.0, "step": 2}, {"eval_accuracy": 0.2, "step": 2}]
    watch, state = Watch(trial, "accuracy"), SimpleNamespace(log_history=log[:1])
    watch.on_evaluate(None, state, None, metrics={"eval_accuracy": 0.1})
    state.log_history = log
    for value in (0.2, 0.3):  # the second one is what a killed process had not come to keep
        with pytest.raises(Pruned):
            watch.on_evaluate(None, state, None, metrics={"eval_accuracy": value})
    with pytest.raises(Pruned):
        Watch(optuna.trial.Trial(study, trial._trial_id), "accuracy").on_train_begin(None, state, None)
    assert study.trials[-1].intermediate_values == {1: 0.1, 2: 0.2}
