"""Trainings in processes of their own: forked from one that has imported everything, so that a start costs little."""

import os
import signal
import sys
import time
from pathlib import Path


def start_training(values: dict, log: Path) -> int:
    """Forks a child that runs `train`; returns its process id."""
    import hfcls.commands.train as command
    import hfcls.training.fit

    assert hfcls.training.fit
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with log.open("a") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from hfcls.parsing import run_command

        code = run_command(lambda: command.train(values) and None)
        sys.stdout.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def wait(child: int, seconds: float) -> int | None:
    """The exit code (negative for a signal), or None where the child is still running after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return None


def kill(child: int, number: int = signal.SIGKILL) -> int:
    """Sends the signal and reaps the child."""
    os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
