"""What the speed scripts share: commands in processes of their own, what they cost, taking turns, the table."""

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Asked in a process of its own: on Linux a child's peak memory starts from its parent's, so the parent stays small.
_ASK = """
import json, torch
found = torch.cpu.get_capabilities()
print(json.dumps({
    "bf16": any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")),
    "instructions": torch.backends.cpu.get_cpu_capability(),
    "torch": torch.__version__,
}))
"""


class Failed(Exception):
    """A contender that came to no result, and why."""


@dataclass(frozen=True)
class Cost:
    """Of a command: seconds of processors and on the clock, its largest process, what it printed."""

    cpu: float
    wall: float
    peak_mb: float
    output: str


class Runner:
    """Runs commands with so many threads and empty caches of their own, which last as long as the context.

    Args:
        threads: of torch and numpy in each process.
        timeout: seconds after which a command counts as failed.
    """

    def __init__(self, threads: int, timeout: float):
        self._folder = tempfile.TemporaryDirectory()
        self.scratch = Path(self._folder.name)
        self.threads, self._timeout = threads, timeout
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        self.environment = os.environ | {
            **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads)),
            **{"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "HFCLS_CACHE": str(self.scratch / "hfcls"),
            "HF_DATASETS_CACHE": str(self.scratch / "datasets"),
            "TMPDIR": str(self.scratch),
        }

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

    def run(self, *command: str) -> Cost:
        """One Python command, from start to end, with all processes that it waits for."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, *command], stdout=out, stderr=err, env=self.environment, start_new_session=True
            )
            timer = threading.Timer(self._timeout, os.killpg, (process.pid, signal.SIGKILL))
            timer.start()
            try:
                _, status, used = os.wait4(process.pid, 0)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            finally:
                timer.cancel()
            wall = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        if process.returncode:
            raise Failed(_reason(process.returncode, texts[1], wall, self._timeout))
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
        return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss * unit / 1e6, texts[0])


def _reason(code: int, errors: str, wall: float, timeout: float) -> str:
    if code == -signal.SIGKILL and wall >= timeout:
        return f"took more than {timeout:g} s"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    ended = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"{lines[-1][:300] if lines else 'no word'} ({ended})"


def take_turns(
    names: Sequence[str],
    measure: Callable[[str], dict[str, float]],
    *,
    rounds: int,
    warm: Callable[[str], Any] | None = None,
) -> tuple[dict[str, list[dict[str, float]]], dict[str, str]]:
    """A B C, A B C, ...: what else the machine does falls on all. Who fails is left out from then on.

    Args:
        measure: a contender's figures in one round, `images_per_cpu_second` among them.
        warm: called once per contender before the first round; not measured.

    Returns:
        The figures of each round up to a failure, and the errors, by contender.
    """
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    errors: dict[str, str] = {}
    for number in range(1 if warm is None else 0, rounds + 1):
        for name in names:
            if name in errors:
                continue
            try:
                if warm is not None and number == 0:
                    warm(name)
                    continue
                found = measure(name)
            except Failed as error:
                errors[name] = str(error)
                print(f"{name}: {error}", flush=True)
                continue
            figures[name].append(found)
            print(f"round {number}  {name:<16}{found['images_per_cpu_second']:10.1f} images per CPU second", flush=True)
    return figures, errors


def describe_machine(runner: Runner) -> dict[str, Any]:
    """The class of hardware, without names of machines, and the versions."""
    found = json.loads(runner.run("-c", _ASK).output)
    bf16 = "with" if found["bf16"] else "without"
    found["text"] = (
        f"{runner.threads} thread{'s' * (runner.threads > 1)}, {os.cpu_count()} CPU cores, {platform.machine()}, "
        f"{found['instructions']} {bf16} bfloat16, torch {found['torch']}, {date.today()}"
    )
    return found


def training_part(data: str) -> Path:
    """The file or folder of the training images: DATA/train.parquet, DATA/train, or DATA itself."""
    path = Path(data).resolve()
    return next((found for found in (path / "train.parquet", path / "train") if found.exists()), path)


def ratios(rows: list[dict[str, float]], base: list[dict[str, float]]) -> list[float]:
    """Images per CPU second over those of another contender, round by round."""
    key = "images_per_cpu_second"
    return [one[key] / other[key] for one, other in zip(rows, base, strict=False)]


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Median (least-most), or a dash."""
    if not values:
        return "-"
    low, middle, high = (f"{v:.{digits}f}" for v in (min(values), statistics.median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low}-{high})"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], errors: dict[str, str]) -> None:
    """Columns as wide as what is in them, then what has failed."""
    widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
    for row in (columns, *rows):
        cells = [
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    for name, error in errors.items():
        print(f"not measured: {name}: {error}")


def save(path: str | None, settings: dict[str, Any], machine: dict[str, Any], figures: Any, errors: Any) -> None:
    """Everything as JSON, where that is wanted."""
    if path is not None:
        content = {
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "date": str(date.today()),
            "machine": machine,
            "settings": settings,
            "rounds": figures,
            "errors": errors,
        }
        Path(path).write_text(json.dumps(content, indent=2) + "\n")
