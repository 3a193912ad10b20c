"""Every figure of every released card comes out of its predictions again, to the last printed digit."""

import re
from pathlib import Path

import numpy as np
import pytest

from hfcls.hub.card import check_card, find_gaps, is_ours
from hfcls.hub.card.check import read_metadata
from hfcls.hub.card.figures import card_figures, figures_of_predictions, load_released_predictions
from hfcls.hub.card.measured import run_from_predictions
from hfcls.hub.card.pictures import draw_pictures
from hfcls.uncertainty.trust import load_trust

CARDS = Path(__file__).parents[2] / "model_cards"
RELEASED = sorted(path for path in CARDS.iterdir() if path.is_dir()) if CARDS.is_dir() else []


def test_there_are_cards():
    assert RELEASED, f"{CARDS} holds no card"


@pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: folder.name)
def test_a_released_card(folder: Path):
    text = (folder / "README.md").read_text(encoding="utf-8")
    predictions = load_released_predictions(folder / "predictions.parquet")
    metadata, _, _ = read_metadata(text)
    assert metadata is not None and is_ours(text)
    assert check_card(text) == []
    assert not [gap for gap in find_gaps(text) if "license" in gap or gap.startswith("nothing on")]
    printed = card_figures(text)
    assert len(printed) > 60
    trust = load_trust(folder, next(iter(predictions.values())).class_names)
    assert figures_of_predictions(predictions, examples=len(metadata.get("widget") or []), trust=trust) == printed

    # By other means than the metrics' own.
    split = next(name for name in ("test", "validation") if name in predictions)
    one = predictions[split].known
    right = int((one.logits.argmax(axis=1) == one.labels).sum())
    lead = rf"^Of {len(one):,} {split} images( that it did not learn from)?, it names {right:,} right: "
    assert re.search(lead, text, re.MULTILINE)
    assert dict(printed)[f"model-index/{split}/Accuracy"] == f"{round(right / len(one), 6)}"
    loss = -np.log(one.probabilities[np.arange(len(one)), one.labels].clip(1e-300)).mean()
    assert float(dict(printed)[f"model-index/{split}/Log loss"]) == pytest.approx(loss, abs=1e-6)

    for picture in draw_pictures(run_from_predictions(predictions, trust=trust)):
        file = folder / picture.path
        assert not file.exists() or file.read_text(encoding="utf-8") == picture.svg
