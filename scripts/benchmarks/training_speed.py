"""Training speed of `hfcls train` on a CPU, beside other ways to train the same network, and no data at all.

    python scripts/benchmarks/training_speed.py DATA --size 32 --architecture cifar_resnet20 --json speed.json

DATA is a Parquet file in the layout of `datasets`, a folder with one folder per class, or a directory with
train.parquet or train/. Every contender trains the same fresh network by AdamW with the same batch size and the same
kind of augmentation: pad-and-crop by 4 and flip, or from 64 px on random resized crop and flip. Each is run twice in a
round, for --warmup steps and for --steps more, each time in a process of its own; what the second costs above the first
is the price of those steps: start-up, first batches and reading caches cancel out. Processor time is that of all
threads and processes. A run of each that builds the caches comes before and is not counted; that of hfcls goes over
all images twice, since it keeps none for less. Where --steps is too small for a good figure, the script says so.

    hfcls                    `hfcls train` with its automatic choices
    example, example-bf16    the shape of transformers' example: datasets, PIL, torchvision per sample, Trainer
    torchvision-v2           transforms v2 on uint8 tensors per sample, Trainer
    timm-loader              timm's loader, plain loop, in the best precision
    synthetic[-bf16]         the limit: one batch over and over, plain loop, channels last, fused, freed memory kept
"""

import argparse
import json
import shlex
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import (
    Cost,
    Failed,
    Runner,
    describe_machine,
    print_table,
    ratios,
    save,
    spread,
    take_turns,
    training_part,
)

LIMITS = ("synthetic", "synthetic-bf16")
CONTENDERS = ("hfcls", "example", "example-bf16", "torchvision-v2", "timm-loader", *LIMITS)
SEED, LEARNING_RATE = 0, 1e-3
COLUMNS = (
    *("contender", "images per CPU second", "images per second", "over example", "of the limit"),
    *("peak MB", "start-up CPU s"),
)


def main() -> int:
    arguments = parse()
    with Runner(arguments.threads, arguments.timeout) as runner:
        machine = describe_machine(runner)
        print(machine["text"], flush=True)
        contest = Contest(arguments, runner, bf16=machine["bf16"])
        figures, errors = take_turns(
            arguments.contenders, contest.measure, rounds=arguments.rounds, warm=contest.build_caches
        )
    print_table(COLUMNS, table(figures), errors)
    for note in sorted(contest.notes):
        print(f"note: {note}")
    save(arguments.json, vars(arguments), machine, figures, errors)
    return 1 if any(not error.startswith("skipped") for error in errors.values()) else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--images", type=int, help="use so many of the training images; all if left out")
    parser.add_argument("--size", type=int, default=32, help="height and width in pixels")
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--architecture", default="cifar_resnet20")
    parser.add_argument("--steps", type=int, default=300, help="steps that are counted")
    parser.add_argument("--warmup", type=int, default=10, help="steps before those")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds that one process may take")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--hfcls_flags", default="", help="more for `hfcls train`, as one text: '--bf16 false'")
    parser.add_argument("--json", help="file to write all figures to")
    arguments = parser.parse_args()
    for name in ("size", "batch_size", "steps", "warmup", "rounds", "threads"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} is {getattr(arguments, name)}: expected 1 or more")
    return arguments


class Contest:
    """Runs the contenders.

    Attributes:
        notes: what the reader of the figures should know.
    """

    def __init__(self, arguments: argparse.Namespace, runner: Runner, *, bf16: bool):
        self._arguments, self._runner, self._bf16 = arguments, runner, bf16
        self._changes = {"random_resized_crop": 0.08} if arguments.size >= 64 else {"pad_and_crop": 4}
        self._changes["horizontal_flip"] = 0.5
        self.notes: set[str] = set()

    def build_caches(self, name: str) -> None:
        if name.endswith("-bf16") and not self._bf16:
            raise Failed("skipped: this CPU has no bfloat16 instructions")
        cost = self._run(name, None if name == "hfcls" else self._arguments.warmup)
        self._note_choices(f"{name}, building caches", cost, ("input",))

    def measure(self, name: str) -> dict[str, float]:
        steps, warmup = self._arguments.steps, self._arguments.warmup
        short, long = self._run(name, warmup), self._run(name, warmup + steps)
        self._note_choices(name, long)
        cpu, wall = long.cpu - short.cpu, long.wall - short.wall
        if cpu <= 0 or wall <= 0:
            raise Failed(f"{steps} steps don't stand out from the start-up: give more --steps")
        if cpu < short.cpu / 2:
            self.notes.add(f"{name}: --steps {steps} is small: they took less than half as long as the start-up")
        images = steps * self._arguments.batch_size
        return {
            "images_per_cpu_second": images / cpu,
            "images_per_second": images / wall,
            "peak_mb": max(short.peak_mb, long.peak_mb),
            "start_cpu_seconds": short.cpu - warmup * cpu / steps,
        }

    def _note_choices(self, name: str, cost: Cost, about: tuple[str, ...] = ("input", "training", "augment")) -> None:
        """The lines in which `hfcls train` says what it has chosen."""
        for line in cost.output.splitlines():
            if line.split(" ")[0] in about:
                self.notes.add(f"{name}: {line}")

    def _run(self, name: str, steps: int | None) -> Cost:
        with tempfile.TemporaryDirectory(dir=self._runner.scratch) as output:
            if name == "hfcls":
                return self._runner.run("-m", "hfcls", "train", *self._hfcls_flags(steps, output))
            settings = {
                "name": name,
                "data": str(training_part(self._arguments.data)),
                "output": output,
                "steps": steps,
                "bf16": name.endswith("-bf16") or (name == "timm-loader" and self._bf16),
                "changes": self._changes,
                "seed": SEED,
                "learning_rate": LEARNING_RATE,
                **{key: getattr(self._arguments, key) for key in ("size", "batch_size", "architecture", "images")},
            }
            return self._runner.run(str(Path(__file__).with_name("training_peers.py")), json.dumps(settings))

    def _hfcls_flags(self, steps: int | None, output: str) -> list[str]:
        flags: dict[str, Any] = {
            "train_dir": training_part(self._arguments.data),
            "architecture": self._arguments.architecture,
            "image_size": self._arguments.size,
            "output_dir": f"{output}/run",
            "per_device_train_batch_size": self._arguments.batch_size,
            **({"num_train_epochs": 2} if steps is None else {"max_steps": steps}),
            **({"max_train_samples": self._arguments.images} if self._arguments.images else {}),
            "learning_rate": LEARNING_RATE,
            "seed": SEED,
            "disable_tqdm": "true",
            **dict.fromkeys(("validation_fraction", "test_fraction"), 0),  # nothing to evaluate at the end
            **dict.fromkeys(("eval_strategy", "save_strategy"), "no"),
            **self._changes,
        }
        listed = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        return [*listed, *shlex.split(self._arguments.hfcls_flags)]


def table(figures: dict[str, list[dict[str, float]]]) -> list[list[str]]:
    """Median (least-most) over the rounds."""
    key = "images_per_cpu_second"
    reached = {name: statistics.median(row[key] for row in figures[name]) for name in LIMITS if figures.get(name)}
    limit = figures[max(reached, key=lambda name: reached[name])] if reached else []
    lines = []
    for name, rows in figures.items():
        if rows:
            plain = (key, "images_per_second", "peak_mb", "start_cpu_seconds")
            speed, clock, *rest = (
                spread([row[column] for row in rows], 0 if "peak" in column else 1) for column in plain
            )
            over = (spread(ratios(rows, base), 2) for base in (figures.get("example", []), limit))
            lines.append([name, speed, clock, *over, *rest])
    return lines


if __name__ == "__main__":
    sys.exit(main())
