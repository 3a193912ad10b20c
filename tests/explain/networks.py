"""Tiny networks of each family, with weights drawn here, for images of 32 pixels and 5 classes."""

import numpy as np
import timm
import torch
import transformers as t
from PIL import Image
from transformers.initialization import no_init_weights
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig

from hfcls.models import Classifier, build_classifier

CLASSES = ("red", "green", "blue", "black", "white")
TOKENS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1]}
SMALL_TIMM = {
    "timm resnet": ("resnet10t", {}),
    "timm mobilenet": ("mobilenetv2_035", {}),
    "timm vit": ("vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 36, "depth": 2}),
    "timm deit": ("deit_tiny_distilled_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 36, "depth": 2}),
    "timm swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 32, "window_size": 4, "embed_dim": 16, "depths": (1, 1), "num_heads": (2, 2)},
    ),
    "timm convnext": ("convnext_atto", {"depths": (1, 1, 1, 1), "dims": (8, 16, 16, 16)}),
}
CONFIGS = {
    "vit": lambda: t.ViTConfig(**TOKENS),
    "deit": lambda: t.DeiTConfig(**TOKENS),
    "dinov2": lambda: t.Dinov2Config(**TOKENS),
    "beit": lambda: t.BeitConfig(**TOKENS),
    "swin": lambda: t.SwinConfig(embed_dim=16, depths=[1, 1], num_heads=[2, 2], image_size=32, window_size=4),
    "swinv2": lambda: t.Swinv2Config(embed_dim=16, depths=[1, 1], num_heads=[2, 2], image_size=32, window_size=4),
    "resnet": lambda: t.ResNetConfig(embedding_size=8, **STAGES),
    "regnet": lambda: t.RegNetConfig(embedding_size=8, groups_width=8, **STAGES),
    "convnext": lambda: t.ConvNextConfig(**STAGES, num_stages=2, image_size=32),
    "mobilenet_v1": lambda: t.MobileNetV1Config(image_size=64, depth_multiplier=0.25),
    "mobilenet_v2": lambda: t.MobileNetV2Config(image_size=64, depth_multiplier=0.25),
    "levit": lambda: t.LevitConfig(
        image_size=64, hidden_sizes=[16, 32, 48], num_attention_heads=[1, 2, 3], depths=[1, 1, 1], key_dim=[8, 8, 8]
    ),
    "mobilevit": lambda: t.MobileViTConfig(
        image_size=64, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 32, 64], num_attention_heads=2
    ),
    "segformer": lambda: t.SegformerConfig(hidden_sizes=[8, 16, 32, 32], depths=[1] * 4),
    "pvt": lambda: t.PvtConfig(
        image_size=64, hidden_sizes=[8, 16, 32, 32], depths=[1] * 4, num_attention_heads=[1, 1, 2, 2]
    ),
}
OWN = ("simple_cnn", "lenet5", "cifar_resnet20")
# Whose head is a class of its own.
CLASSES_OF = {
    "deit": t.DeiTForImageClassificationWithTeacher,
    "levit": t.LevitForImageClassificationWithTeacher,
}


def build(name: str, *, size: int | None = None) -> Classifier:
    """A classifier of a family, in eval mode."""
    torch.manual_seed(0)
    if name in OWN:
        classifier = build_classifier(name, class_names=CLASSES, image_size=size)
    else:
        model = _timm(*SMALL_TIMM[name]) if name in SMALL_TIMM else _transformers(name)
        side = size or getattr(model.config, "image_size", 32)
        processor = t.ViTImageProcessor(size={"height": side, "width": side}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
        classifier = Classifier(model, processor)
    # The weights of a fresh network are so small that the image hardly counts; of a fresh head, all alike.
    with torch.no_grad():
        for parameter in classifier.model.parameters():
            if parameter.ndim > 1 and name not in OWN:
                parameter.normal_(0, parameter[0].numel() ** -0.5)
    classifier.model.eval()
    return classifier


def _transformers(name: str) -> t.PreTrainedModel:
    config = CONFIGS[name]()
    config.id2label = dict(enumerate(CLASSES))
    config.label2id = {label: i for i, label in config.id2label.items()}
    return CLASSES_OF.get(name, t.AutoModelForImageClassification.from_config)(config)


def _timm(architecture: str, settings: dict) -> t.PreTrainedModel:
    config = TimmWrapperConfig(
        architecture=architecture,
        pretrained_cfg={"input_size": (3, 32, 32)},
        model_args=settings,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: i for i, name in enumerate(CLASSES)},
    )
    with no_init_weights():
        model = t.AutoModelForImageClassification.from_config(config)
    model.timm_model = timm.create_model(architecture, num_classes=len(CLASSES), **settings)
    return model


def photos(count: int, *, width: int = 56, height: int = 40) -> list[Image.Image]:
    """Coloured blobs on coloured ground."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        found.append(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return found
