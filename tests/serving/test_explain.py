"""Explanations beside predictions: on a module of their own over the same weights, with progress, and stopped."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from hfcls.errors import UserError
from hfcls.serving.jobs import Counter, Job, Jobs, Stopped
from hfcls.serving.predictor import Predictor
from hfcls.serving.twin import build_twin
from tests.serving.test_predictor import noise, save_model


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Predictor:
    return Predictor(save_model(tmp_path_factory.mktemp("model")), device="cpu")


def test_a_twin_has_the_same_tensors_and_hooks_of_its_own():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).eval()
    twin = build_twin(model)
    assert all(a is b for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert all(a is b for a, b in zip(model.buffers(), twin.buffers(), strict=True))
    seen: list[int] = []
    twin[0].register_forward_hook(lambda *rest: seen.append(1))
    model(torch.zeros(1, 3, 8, 8))
    assert not seen and twin[0] is not model[0]


def test_predictions_go_on_while_it_is_explained(predictor: Predictor):
    """Hooks and gradients of one must not show in the other."""
    expected = predictor.predict(noise()).logits
    with ThreadPoolExecutor(4) as pool:
        maps = [pool.submit(predictor.explain, noise(), target=1) for _ in range(4)]
        logits = [pool.submit(predictor.predict, noise()) for _ in range(20)]
        values = [one.result().values for one in maps]
        assert all(np.array_equal(one.result().logits, expected) for one in logits)
    assert values[0].shape == (40, 50) and values[0].max() > 0.9
    assert all(np.array_equal(one, values[0]) for one in values)
    assert not any(hasattr(module, "_forward_hooks") and module._forward_hooks for module in modules(predictor))


def modules(predictor: Predictor):
    return predictor.classifier.model.modules()


def test_progress_can_stop_it(predictor: Predictor):
    def stop(done: int, total: int | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        predictor.explain(noise(), progress=stop)
    assert predictor.explain(noise()).values.max() > 0, "the next one has its turn"


def test_who_waits_for_a_turn_can_go(predictor: Predictor):
    asked = []

    def impatient(done: int, total: int | None) -> None:
        asked.append(done)
        raise Stopped

    with predictor._explaining, pytest.raises(Stopped):
        predictor.explain(noise(), progress=impatient)
    assert asked == [0]


def test_an_unknown_method(predictor: Predictor):
    with pytest.raises(UserError, match="Unknown explainer 'tarot'"):
        predictor.explain(noise(), method="tarot")


def count_slowly(report) -> str:
    for step in range(200):
        report(step, 200)
        time.sleep(0.02)
    return "done"


def test_a_job_tells_and_stops():
    jobs = Jobs()
    seen: list[int] = []
    for job in jobs.run("somebody", "explain", count_slowly):
        seen.append(job.done)
        if job.done > 10:
            jobs.stop("somebody")
    assert job.was_stopped and job.is_over and job.result is None and job.total == 200
    assert seen == sorted(seen) and seen[-1] < 60, "it has not counted to the end"


def test_the_newest_job_of_a_visitor_wins():
    jobs = Jobs()
    first = jobs.run("somebody", "explain", count_slowly)
    old = next(first)
    *_, new = jobs.run("somebody", "explain", lambda report: "new")
    *_, _ = first
    assert old.was_stopped and new.result == "new"
    *_, other = jobs.run(None, "explain", lambda report: 1 / 0)
    assert isinstance(other.error, ZeroDivisionError) and not other.was_stopped


def test_a_job_ends_when_nobody_follows_it():
    ended = threading.Event()

    def work(report) -> None:
        try:
            count_slowly(report)
        finally:
            ended.set()

    steps = Job().run(work)
    next(steps)
    steps.close()
    assert ended.wait(2)


def test_long_work_takes_no_more_than_its_places():
    counter = Counter(at_once=1, waiting=1, seconds=0.2)
    with counter.place(), pytest.raises(UserError, match="Too many ask"), counter.place():
        pass  # waited in vain
    with counter.place():
        pass
