"""Trainings in processes of their own, to be killed; forked from a server that has imported everything."""

import multiprocessing
import os
import signal
import time
import traceback
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

_CONTEXT = multiprocessing.get_context("forkserver")
# Imports alone: a server that had computed anything would hand on thread pools that no child can use.
_CONTEXT.set_forkserver_preload(["hfcls.training.fit", "hfcls.evaluation.measure", "hfcls.evaluation.report"])


def start_training(values: dict, log: Path) -> BaseProcess:
    """Starts `hfcls train` in a child whose output goes to `log`."""
    return _start("hfcls.commands.train", "train", values, log)


def start_search(values: dict, log: Path) -> BaseProcess:
    """The same with `hfcls search`."""
    return _start("hfcls.commands.search", "search_hyperparameters", values, log)


def start_crossval(values: dict, log: Path) -> BaseProcess:
    """The same with `hfcls crossval`, in one thread: sums of several end in other bits."""
    return _start("hfcls.commands.crossval", "crossval", values, log, threads=1)


def _start(module: str, name: str, values: dict, log: Path, *, threads: int | None = None) -> BaseProcess:
    child = _CONTEXT.Process(target=_run, args=(module, name, values, str(log), threads))
    child.start()
    return child


def wait(child: BaseProcess, seconds: float) -> int | None:
    """The exit code (negative for a signal), or None where the child is still running after so many seconds."""
    child.join(seconds)
    return child.exitcode


def wait_for(path: Path, child: BaseProcess, log: Path) -> None:
    """Waits until a running child has made `path`."""
    end = time.monotonic() + 120
    while not path.exists():
        assert wait(child, 0.01) is None, log.read_text()
        assert time.monotonic() < end, log.read_text()


def kill(child: BaseProcess, number: int = signal.SIGKILL) -> int | None:
    """Sends the signal and waits for the end, also of the processes that it has begun."""
    assert child.pid is not None
    begun = psutil.Process(child.pid).children(recursive=True)
    os.kill(child.pid, number)
    code = wait(child, 60)
    _, left = psutil.wait_procs(begun, timeout=60)
    for process in left:
        process.kill()
    assert not left, f"{left} go on without the command that began them"
    return code


def _run(module: str, name: str, values: dict, log: str, threads: int | None) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open(log, "a") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    import torch

    from hfcls.parsing import run_command

    if threads is not None:
        torch.set_num_threads(threads)

    code = 1
    try:
        command = getattr(import_module(module), name)
        code = run_command(lambda: command(values) and None)
    except BaseException:
        traceback.print_exc()
    os._exit(code)
