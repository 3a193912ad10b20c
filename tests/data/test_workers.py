"""Processes that load images end with the command, however it ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

COMMAND = """
import multiprocessing, os, sys, time
from pathlib import Path

class Slow:
    ids, labels, class_names = ("a", "b"), [0, 1], ("x", "y")

    def __len__(self):
        return 2

    def __getitem__(self, index):
        Path(sys.argv[2]).write_text(str(os.getpid()))
        time.sleep(3600)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    import torch
    from accelerate import Accelerator
    from hfcls.evaluation.predict import predict

    predict(
        torch.nn.Identity(), Slow(), None, class_names=("x", "y"), accelerator=Accelerator(cpu=True), batch_size=1,
        num_workers=1, description="", quiet=True,
    )
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no server that forks")
def test_a_worker_ends_with_the_command_that_was_killed(tmp_path: Path):
    """Also where a server forks it, which stays."""
    (tmp_path / "command.py").write_text(COMMAND)
    told = tmp_path / "worker"
    command = subprocess.Popen([sys.executable, tmp_path / "command.py", "forkserver", told])
    while not (told.is_file() and told.read_text()):
        assert command.poll() is None
        time.sleep(0.1)
    worker = psutil.Process(int(told.read_text()))
    command.kill()
    command.wait()
    _, left = psutil.wait_procs([worker], timeout=20)
    for process in left:
        process.kill()
    assert not left
