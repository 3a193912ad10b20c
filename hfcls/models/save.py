"""A trained classifier as files that transformers and, for networks of timm, timm itself read."""

from pathlib import Path
from typing import Any

from hfcls.models.architectures import Classifier
from hfcls.networks import Ensemble

_WRAPPED = "timm_model."


def save_classifier(classifier: Classifier, directory: Path) -> None:
    """Writes weights, configuration and image processor.

    A network of timm is saved under the names it has there, so that ``timm.create_model("local-dir:DIRECTORY")``
    takes it; transformers puts its own prefix back as it loads.

    Args:
        classifier: the model without adapters or wrappers of a trainer.
        directory: made if it is missing; files of the same names are replaced.
    """
    model = classifier.model
    settings: dict[str, Any] = {}
    if model.config.model_type == "timm_wrapper":
        settings["state_dict"] = {key.removeprefix(_WRAPPED): value for key, value in model.state_dict().items()}
        # timm cannot read null there.
        model.config.model_args = model.config.model_args or {}
    if isinstance(model, Ensemble):
        # The names in memory: transformers renames those of some families as it saves, by rules for whole networks.
        settings["save_original_format"] = False
    model.save_pretrained(directory, **settings)
    classifier.image_processor.save_pretrained(directory)
