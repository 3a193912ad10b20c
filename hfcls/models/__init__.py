"""Models: names, directories and Hub ids in, classifiers out."""

from hfcls.models.architectures import ARCHITECTURES, Classifier, build_classifier, check_architecture
from hfcls.models.ensemble import build_ensemble, is_ensemble
from hfcls.models.features import features, find_heads, kept_features, linear_head, pooled_features
from hfcls.models.freezing import Freezing, build_freezing, frozen_modules
from hfcls.models.load import load_classifier, load_weights
from hfcls.models.lora import add_lora, has_lora, merge_lora, plain_weights
from hfcls.models.memory import has_depthwise_convolutions
from hfcls.models.normalization import has_batch_norm, has_layer_norm
from hfcls.models.preparation import asked_steps, describe_steps, prepare_images, steps_of
from hfcls.models.pretrained import default_checkpoint
from hfcls.models.save import save_classifier
from hfcls.models.stages import find_stages
from hfcls.models.test_time import TEST_TIME_AUGMENTATIONS, average_views

__all__ = [
    "ARCHITECTURES",
    "TEST_TIME_AUGMENTATIONS",
    "Classifier",
    "Freezing",
    "add_lora",
    "asked_steps",
    "average_views",
    "build_classifier",
    "build_ensemble",
    "build_freezing",
    "check_architecture",
    "default_checkpoint",
    "describe_steps",
    "features",
    "find_heads",
    "find_stages",
    "frozen_modules",
    "has_batch_norm",
    "has_depthwise_convolutions",
    "has_layer_norm",
    "has_lora",
    "is_ensemble",
    "kept_features",
    "linear_head",
    "load_classifier",
    "load_weights",
    "merge_lora",
    "plain_weights",
    "pooled_features",
    "prepare_images",
    "save_classifier",
    "steps_of",
]
