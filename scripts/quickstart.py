"""Trains on scikit-learn's handwritten digits and compares with a support vector machine on the same split.

python scripts/quickstart.py [--output_dir runs/digits] [flags of `hfcls train`]
"""

import sys
from pathlib import Path

import numpy as np

from hfcls.arguments import DataArguments
from hfcls.commands.train import build_parser, train
from hfcls.parsing import run_command

CONFIG = Path(__file__).parent / "configs" / "digits_simple_cnn.yaml"


def main() -> None:
    defaults = ["--config", str(CONFIG), "--output_dir", "runs/digits"]
    if "--output_dir" not in sys.argv:
        # The quickstart's own run may be replaced, a named one may not.
        defaults += ["--overwrite_output_dir"]
    values = build_parser().values([*defaults, *sys.argv[1:]])
    measured = train(values)["splits"]["test"]
    accuracy = measured["headline"]["accuracy"]
    rival, error = support_vector_machine()
    interval = f"95 % interval [{accuracy['low']:.4f}, {accuracy['high']:.4f}]"
    print(
        f"\naccuracy on the {measured['n']} test digits\n"
        f"  this network             {accuracy['value']:.4f}  {interval}\n"
        f"  scikit-learn's RBF-SVM   {rival:.4f}  standard error {error:.4f} (it learns from train and validation)\n"
        f"\nopen the report: {Path(values['output_dir']) / 'report' / 'index.html'}"
        f"\nthe model card:  {Path(values['output_dir']) / 'README.md'}"
    )


def support_vector_machine() -> tuple[float, float]:
    """Accuracy and standard error of the honest rival on the same test images, with all other images to learn from."""
    from sklearn.svm import SVC

    from hfcls.data.labelled import load_data
    from hfcls.data.labels import labels_of

    splits = load_data(DataArguments(dataset_name="digits")).splits

    def pixels(*names: str) -> tuple[np.ndarray, np.ndarray]:
        images = [np.asarray(image, dtype=np.float64).ravel() for name in names for image in splits[name]["image"]]
        return np.stack(images) * (16 / 255), np.concatenate([labels_of(splits[name]) for name in names])

    machine = SVC(kernel="rbf", C=10, gamma=0.001).fit(*pixels("train", "validation"))
    accuracy = machine.score(*pixels("test"))
    return accuracy, float(np.sqrt(accuracy * (1 - accuracy) / len(splits["test"])))


if __name__ == "__main__":
    sys.exit(run_command(main))
