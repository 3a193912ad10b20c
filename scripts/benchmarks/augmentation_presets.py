"""What the augmentation presets are worth: several seeds each, on the same images.

    python scripts/benchmarks/augmentation_presets.py --output_dir runs/presets [--presets none standard strong]
        [--seeds 3] FLAGS of `hfcls train`, such as
        --train_dir CIFAR10 --max_train_samples 2000 --max_eval_samples 500 --architecture simple_cnn
        --train_dir PHOTOS --model_name_or_path MODEL

Each training is a process of its own; one that is there is not run again. Prints the mean test accuracy over the seeds
and how far each preset is from the first, paired by image and seed, with a 95 % interval of a bootstrap over images.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output_dir", required=True, type=Path)
    parser.add_argument("--presets", nargs="+", default=["none", "standard", "strong"])
    parser.add_argument("--seeds", type=int, default=3)
    arguments, flags = parser.parse_known_args()
    right = {}
    # Seed by seed, so that a session that is cut short has compared like with like.
    for seed in range(arguments.seeds):
        for preset in arguments.presets:
            run = arguments.output_dir / f"{preset}-{seed}"
            if not (run / "test_results.json").is_file():
                chosen = ["--augmentation", preset, "--seed", str(seed), "--output_dir", str(run)]
                command = [sys.executable, "-m", "hfcls", "train", *flags, *chosen, "--overwrite_output_dir"]
                subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
            right.setdefault(preset, []).append(read_correct(run))
            print(f"{preset:<10} seed {seed}: {right[preset][-1].mean():.4f}", flush=True)
    print(compare({preset: np.stack(rows) for preset, rows in right.items()}))
    return 0


def read_correct(run: Path) -> np.ndarray:
    """Which test images a run got right, in the order of their ids."""
    from hfcls.structures import Predictions

    answers = Predictions.load(run / "predictions" / "test.parquet")
    return (answers.logits.argmax(1) == answers.labels)[np.argsort(answers.ids)]


def compare(right: dict[str, np.ndarray]) -> str:
    """Means and paired differences of (seeds, images)."""
    first = next(iter(right))
    rng = np.random.default_rng(0)
    lines = []
    for preset, answers in right.items():
        line = f"{preset:<16} {answers.mean():.4f}  seeds {answers.mean(1).min():.4f} to {answers.mean(1).max():.4f}"
        if preset != first:
            gains = answers.mean(0) - right[first].mean(0)
            drawn = gains[rng.integers(0, len(gains), (2000, len(gains)))].mean(1)
            low, high = np.quantile(drawn, (0.025, 0.975))
            line += f"  {100 * gains.mean():+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}] from {first}"
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
