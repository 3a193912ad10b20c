"""Kills trainings at random moments and resumes them: are the final weights those of an undisturbed run?

    python scripts/benchmarks/kill_and_resume.py --kills 10

For each family: one undisturbed run, then one that SIGKILL ends at so many random moments and that is resumed each
time; augmentation, dropout and two data workers on. Prints a row per family; exits with 1 where a byte differs.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TRANSFORMERS_VERBOSITY": "error"}
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.conftest import write_images
from tests.families import FAMILIES, family_arguments
from tests.processes import kill, start_training, wait


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        images = write_images(root / "images", {"red": 90, "green": 60, "blue": 50})
        print(f"{'family':<14}{'kills':>6}  {'weights':<11}newest checkpoint at each kill", flush=True)
        for family in arguments.families:
            values = {
                "train_dir": str(images),
                **family_arguments(family, root / "models"),
                **{"horizontal_flip": 0.5, "pad_and_crop": 4, "shift": 0.1, "num_train_epochs": 6, "seed": 7},
                **{
                    "per_device_train_batch_size": 8,
                    "dataloader_num_workers": 2,
                    "use_cpu": True,
                    "disable_tqdm": True,
                },
                **{"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 7, "save_steps": 7},
            }
            code = wait(start_training(values | {"output_dir": str(root / f"{family}-whole")}, root / "log"), 600)
            assert code == 0, (root / "log").read_text()
            whole = training_seconds(root / f"{family}-whole")
            disturbed = values | {"output_dir": str(root / f"{family}-killed")}
            kills, steps, same = 0, [], True
            while True:
                log = root / f"{family}-{len(steps)}"
                child = start_training(disturbed, log)
                while "training  " not in (log.read_text() if log.exists() else ""):
                    time.sleep(0.02)
                code = wait(child, moments.uniform(0, 0.6 * whole) if kills < arguments.kills else 600)
                assert code in (None, 0), log.read_text()
                disturbed |= {"resume_from_checkpoint": "auto", "overwrite_output_dir": False}
                if code is None:
                    kill(child)
                    kills += 1
                    steps.append(newest_step(root / f"{family}-killed"))
                    continue
                same &= all(
                    (root / f"{family}-whole" / name).read_bytes() == (root / f"{family}-killed" / name).read_bytes()
                    for name in ("model.safetensors", *newest(root / f"{family}-whole"))
                )
                if kills >= arguments.kills:
                    break
                # It came to its end before all kills were spent: once more from the beginning.
                steps.append("end")
                disturbed |= {"resume_from_checkpoint": None, "overwrite_output_dir": True}
            worst |= not same
            shown = " ".join(map(str, steps))
            print(f"{family:<14}{kills:>6}  {'identical' if same else 'DIFFER':<11}{shown}", flush=True)
    return worst


def newest(run: Path) -> list[str]:
    step = newest_step(run)
    return [f"checkpoint-{step}/model.safetensors", f"checkpoint-{step}/optimizer.pt"]


def newest_step(run: Path) -> int:
    return max((int(p.name.split("-")[1]) for p in run.glob("checkpoint-*")), default=0)


def training_seconds(run: Path) -> float:
    return json.loads((run / "train_results.json").read_text())["train_runtime"]


if __name__ == "__main__":
    sys.exit(main())
