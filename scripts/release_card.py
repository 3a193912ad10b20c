"""Puts a run's card, its pictures, predictions and calibration into model_cards/NAME; the weights stay with the run.

python scripts/release_card.py runs/digits digits-simple_cnn
"""

import sys
from pathlib import Path
from shutil import copyfile, rmtree

from hfcls.command_arguments import CardArguments
from hfcls.errors import UserError
from hfcls.hub.card import build_card
from hfcls.hub.card.figures import save_released_predictions
from hfcls.parsing import run_command
from hfcls.uncertainty.trust import CALIBRATION

CARDS = Path(__file__).resolve().parents[1] / "model_cards"


def main() -> None:
    if len(sys.argv) != 3:
        raise UserError("Expected a run and a name: python scripts/release_card.py runs/digits digits-simple_cnn")
    run_dir, folder = Path(sys.argv[1]), CARDS / sys.argv[2]
    card = build_card(run_dir, CardArguments())
    rmtree(folder, ignore_errors=True)
    for path, content in {**card.pictures, "README.md": card.text.encode()}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    save_released_predictions(run_dir, folder / "predictions.parquet")
    if (run_dir / CALIBRATION).is_file():
        copyfile(run_dir / CALIBRATION, folder / CALIBRATION)
    print(folder)


if __name__ == "__main__":
    sys.exit(run_command(main))
