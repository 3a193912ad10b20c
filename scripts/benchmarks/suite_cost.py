"""What `hfcls evaluate --suite full` costs beside its forward passes, and whether a killed one ends the same.

    python scripts/benchmarks/suite_cost.py WEIGHTS CIFAR10 --strangers far=MNIST near=FLOWERS

WEIGHTS: safetensors for --architecture. CIFAR10: a folder with train.parquet and test.parquet. In turns: the CPU
seconds of the whole command (imports, decoding, figures, report, page), and those of one pass of the same images, in
batches of the same size, through the bare network. The passes are those that the suite counts. Then the command is
killed by SIGKILL as soon as each of --kill_after is there, and started again. Exits with 1 where a file differs.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import measuring


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("data", type=Path)
    parser.add_argument("--strangers", nargs="+", default=[])
    parser.add_argument("--architecture", default="cifar_resnet20")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kill_after", nargs="*", default=["abstaining.json", "features.json", "single.json"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only_passes", metavar="MODEL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only_passes:
        print(json.dumps(seconds_of_a_pass(arguments)))
        return 0
    with measuring.Runner(arguments.threads, timeout=3600) as runner:
        print(measuring.describe_machine(runner)["text"], flush=True)
        model = runner.scratch / "model"
        runner.run("-c", SAVE, arguments.architecture, arguments.weights, str(arguments.data), str(model))
        command = ["-m", "hfcls", "evaluate", str(model), "--suite", "full", "--use_cpu", "--output_dir"]
        flags = [
            "--test_dir",
            str(arguments.data / "test.parquet"),
            "--train_dir",
            str(arguments.data / "train.parquet"),
        ]
        flags += ["--per_device_eval_batch_size", str(arguments.batch_size)]
        flags += ["--strangers", *arguments.strangers] if arguments.strangers else []
        ratios = []
        for number in range(arguments.rounds):
            whole_dir = runner.scratch / f"whole-{number}"
            passes = [json.loads(runner.run(*itself(arguments, model)).output)]
            whole = runner.run(*command, str(whole_dir), *flags)
            passes += [json.loads(runner.run(*itself(arguments, model)).output)]
            found = read_suite(whole_dir)
            n = json.loads((whole_dir / "test_results.json").read_text())["test_samples"]
            count = n + sum(one["result"]["passes"] for one in found.values() if one["result"])
            forward = statistics.mean(one["seconds"] / one["n"] for one in passes) * count
            ratios.append(whole.cpu / forward)
            print(
                f"round {number + 1}  whole {whole.cpu:.1f} CPU s ({whole.wall:.1f} s on the clock), {count:,} passes "
                f"{forward:.1f} CPU s, ratio {ratios[-1]:.2f}",
                flush=True,
            )
        print(f"ratio {measuring.spread(ratios, 2)}")
        same = killed_and_resumed(runner, [*command, str(runner.scratch / "killed"), *flags], arguments.kill_after)
        names = {file.name for file in (runner.scratch / "whole-0" / "suite").iterdir()}
        differ = [name for name in sorted(names) if not alike(runner.scratch, name)]
        print(f"killed {same} times, then resumed: {'identical' if not differ else 'DIFFER: ' + ', '.join(differ)}")
        return int(bool(differ))


SAVE = """
import sys
from hfcls.arguments import DataArguments
from hfcls.data.labelled import load_data
from hfcls.models import build_classifier, load_weights, save_classifier
from pathlib import Path
data = load_data(DataArguments(test_dir=sys.argv[3] + "/test.parquet"), splits_needed=("test",)).splits["test"]
classifier = build_classifier(sys.argv[1], class_names=tuple(data.features["label"].names))
load_weights(classifier, sys.argv[2])
save_classifier(classifier, Path(sys.argv[4]))
"""


def itself(arguments: argparse.Namespace, model: Path) -> list[str]:
    """This script, asked for one pass alone."""
    given = [arguments.weights, str(arguments.data), "--batch_size", str(arguments.batch_size)]
    return [str(Path(__file__).resolve()), *given, "--only_passes", str(model)]


def seconds_of_a_pass(arguments: argparse.Namespace) -> dict[str, float]:
    """CPU seconds of one pass of the test images through the bare network; nothing else is in them."""
    import torch
    from datasets import Image

    from hfcls.arguments import DataArguments
    from hfcls.data.decode import decode_image
    from hfcls.data.labelled import load_data
    from hfcls.data.transforms import Preprocessing
    from hfcls.models import load_classifier

    data = load_data(DataArguments(test_dir=str(arguments.data / "test.parquet")), splits_needed=("test",)).splits[
        "test"
    ]
    classifier = load_classifier(arguments.only_passes, trust_remote_code=False)
    preprocessing = Preprocessing(classifier.image_processor)
    rows = data.cast_column("image", Image(decode=False))[:]
    pairs = zip(rows["image"], rows["id"], strict=True)
    pixels = [preprocessing.pixels(decode_image(cell, name)) for cell, name in pairs]
    batches = preprocessing.normalize(torch.stack(pixels)).split(arguments.batch_size)
    classifier.model.eval()
    with torch.inference_mode():
        for batch in batches[:10]:
            classifier.model(pixel_values=batch)
        start = time.process_time()
        for batch in batches:
            classifier.model(pixel_values=batch)
    return {"seconds": time.process_time() - start, "n": len(data)}


def read_suite(place: Path) -> dict[str, dict]:
    return {file.stem: json.loads(file.read_text()) for file in (place / "suite").glob("*.json")}


def killed_and_resumed(runner: measuring.Runner, command: list[str], moments: list[str]) -> int:
    """Starts the command once for each moment, kills it there, and lets it end at last; how often it was killed."""
    place, kills = Path(command[command.index("--output_dir") + 1]) / "suite", 0
    for name in moments:
        process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, env=runner.environment)
        while process.poll() is None and not (place / name).is_file():
            time.sleep(0.02)
        if process.poll() is None:
            process.kill()
            kills += 1
        process.wait()
    runner.run(*command)
    return kills


def alike(scratch: Path, name: str) -> bool:
    whole, killed = (scratch / place / "suite" / name for place in ("whole-0", "killed"))
    return killed.is_file() and whole.read_bytes() == killed.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
