"""Which checkpoint an architecture's weights come from where the user names none."""

import timm

from hfcls.catalogue import CATALOGUE
from hfcls.errors import UserError
from hfcls.models.architectures import unknown_architecture


def default_checkpoint(architecture: str) -> str:
    """The Hub id of the default weights of an architecture.

    Args:
        architecture: a name of the catalogue or of timm.

    Raises:
        UserError: the name is unknown, or there are no such weights on the Hub.
    """
    entry = CATALOGUE.get(architecture)
    if entry is None and not timm.is_model(architecture):
        raise unknown_architecture(architecture)
    if entry is not None:
        checkpoint = entry.checkpoint
    else:
        settings = timm.get_pretrained_cfg(architecture)
        # timm names a file beside the default one, or weights without a head, in few cases: neither is a classifier.
        usable = settings is not None and settings.num_classes and not settings.hf_hub_filename
        checkpoint = settings.hf_hub_id if usable else None
    if not checkpoint:
        raise UserError(
            f"--pretrained: {architecture} has no classifier on the Hub that is known here; start anew without it, or "
            "give weights of your own with --weights FILE.safetensors."
        )
    return checkpoint
