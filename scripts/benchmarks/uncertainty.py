"""How far a CIFAR-10 network can be trusted: calibration, sets, abstaining, strangers.

    python scripts/benchmarks/uncertainty.py WEIGHTS CIFAR10 STRANGERS [STRANGERS ...] --output_dir DIR

WEIGHTS: safetensors for --architecture. CIFAR10: a data set whose test split is cut in halves, --splits times: one to
fit on, one to measure on. STRANGERS: other images, made as small as the network's. What the network makes of all of
them is kept in DIR and read again. Prints a table of each; a mean over the splits, and the standard deviation.
"""

import argparse
import os
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}

import numpy as np
import torch
from datasets import Image

from hfcls.arguments import DataArguments
from hfcls.data.decode import decode_image
from hfcls.data.images import load_images
from hfcls.data.labelled import load_data
from hfcls.data.labels import labels_of
from hfcls.data.transforms import Preprocessing
from hfcls.evaluation.observe import known_of, observe
from hfcls.evaluation.speed import describe_hardware
from hfcls.models import Classifier, build_classifier, load_weights
from hfcls.structures import Predictions
from hfcls.uncertainty.calibration import measure_calibration
from hfcls.uncertainty.conformal import CONFORMAL, fit_conformal, measure_sets
from hfcls.uncertainty.detection import measure_detection
from hfcls.uncertainty.rejection import compute_risk_coverage
from hfcls.uncertainty.scaling import SCALINGS
from hfcls.uncertainty.strangers import DETECTORS, Known, Seen
from hfcls.uncertainty.trust import CONFORMAL_METHOD


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("data")
    parser.add_argument("strangers", nargs="+")
    parser.add_argument("--architecture", default="cifar_resnet56")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--coverage", type=float, default=0.95)
    parser.add_argument("--max_strangers", type=int, default=10_000)
    parser.add_argument("--output_dir", type=Path, required=True)
    arguments = parser.parse_args()
    data = load_data(DataArguments(test_dir=arguments.data), splits_needed=("test",)).splits["test"]
    names = tuple(data.features["label"].names)
    classifier = build_classifier(arguments.architecture, class_names=names)
    load_weights(classifier, arguments.weights)
    classifier.model.eval()
    test = seen(classifier, data, arguments.output_dir / "test.npz")
    others = {}
    for place in arguments.strangers:
        images = load_images([place], DataArguments()).data
        images = images.select(range(min(arguments.max_strangers, len(images))))
        name = Path(place).parent.name if Path(place).is_file() else Path(place).name
        others[name] = seen(classifier, images, arguments.output_dir / f"{name}.npz")
    known = known_of(classifier.model, test, labels_of(data))
    print(f"{arguments.architecture}, {len(data)} images, {describe_hardware(torch.device('cpu'))}")
    rng = np.random.default_rng(0)
    rows: dict[str, list[float]] = {}
    for _ in range(arguments.splits):
        order = rng.permutation(len(data))
        halves = order[: len(data) // 2], order[len(data) // 2 :]
        for key, value in measure(known, halves, names, others, arguments.coverage, rng).items():
            rows.setdefault(key, []).append(value)
    for key, values in rows.items():
        print(f"{key:44} {np.mean(values):8.4f}  {np.std(values):.4f}")


def seen(classifier: Classifier, data, file: Path) -> Seen:
    if file.is_file():
        kept = np.load(file)
        return Seen(kept["logits"], kept["features"])
    preprocessing = Preprocessing(classifier.image_processor)

    def batches():
        stored = data.cast_column("image", Image(decode=False))
        for start in range(0, len(data), 250):
            part = stored.select(range(start, min(start + 250, len(data))))
            images = [decode_image(cell, name) for cell, name in zip(part["image"], part["id"], strict=True)]
            yield preprocessing.normalize(torch.stack([preprocessing.pixels(image) for image in images]))

    found = observe(classifier.model, batches(), device=torch.device("cpu"), description=file.stem)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, logits=found.logits, features=found.features)
    return found


def measure(known: Known, halves, names, others: dict[str, Seen], coverage: float, rng) -> dict[str, float]:
    fitting, fresh = (
        Predictions(known.seen.logits[half], known.labels[half], tuple(map(str, half)), names) for half in halves
    )
    found: dict[str, float] = {}
    correct = fresh.logits.argmax(axis=1) == fresh.labels
    found["accuracy"] = correct.mean()
    for name, told in {"none": fresh, **{n: fit(fitting).scale(fresh) for n, fit in SCALINGS.items()}}.items():
        figures = measure_calibration(told)
        found |= {f"{key}, scaling {name}": figures[key] for key in ("ece", "ece_equal_mass", "brier", "log_loss")}
    scaling = SCALINGS["temperature"](fitting)
    found["temperature"] = scaling.temperature
    fitting, fresh = scaling.scale(fitting), scaling.scale(fresh)
    for name in CONFORMAL:
        for by_class in (False, True):
            draws = rng.random(len(fitting)), rng.random(len(fresh))
            sets = fit_conformal(
                fitting.probabilities,
                fitting.labels,
                method=name,
                coverage=coverage,
                draws=draws[0],
                by_class=by_class,
            )
            figures = measure_sets(sets.sets(fresh.probabilities, draws[1]), fresh.labels)
            how = f"{name}{' by class' if by_class else ''}"
            found |= {f"{key}, {how}": figures[key] for key in ("coverage", "worst_class_coverage", "mean_size")}
    undrawn = fit_conformal(fitting.probabilities, fitting.labels, method=CONFORMAL_METHOD, coverage=coverage)
    figures = measure_sets(undrawn.sets(fresh.probabilities), fresh.labels)
    found |= {
        f"{key}, as predict gives them": figures[key] for key in ("coverage", "worst_class_coverage", "mean_size")
    }
    curve = compute_risk_coverage(fresh.probabilities.max(axis=1), correct)
    found["error"], found["AURC"] = 1 - correct.mean(), curve.area
    found["error, surest 90 %"] = curve.risk[np.searchsorted(curve.coverage, 0.9)]
    part = Seen(known.seen.logits[halves[0]], known.seen.features[halves[0]])
    fit_on = Known(part, known.labels[halves[0]], known.weight, known.bias)
    friends = Seen(known.seen.logits[halves[1]], known.seen.features[halves[1]])
    for name, detector_class in DETECTORS.items():
        detector = detector_class(fit_on)
        base = detector.score(friends)
        for place, strangers in others.items():
            figures = measure_detection(detector.score(strangers), base)
            found |= {f"{key} {place}, {name}": figures[key] for key in ("auroc", "fpr95")}
    return found


if __name__ == "__main__":
    main()
