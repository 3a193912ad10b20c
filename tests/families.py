"""One tiny network of each family that checkpoints and loss scaling have to be right for."""

from pathlib import Path

FAMILIES = ("simple_cnn", "resnet18", "vit", "swin", "convnext", "mobilenet_v2")


def family_arguments(family: str, directory: Path, *, dropout: bool = True) -> dict:
    """Flags for `train`: a network of ours or timm by name, a transformers one as a directory made here.

    Args:
        dropout: keep what is random in the networks; without it, normalization statistics are out of the way too.
    """
    if family == "simple_cnn":
        return {"architecture": "simple_cnn", "image_size": 32}
    if family == "resnet18":
        return {"architecture": "resnet18", "image_size": 32}
    path = directory / family
    if not path.exists():
        save_tiny(family, path, dropout=dropout)
    return {"model_name_or_path": str(path)}


def save_tiny(family: str, path: Path, *, dropout: bool = True) -> None:
    """Saves a randomly initialized network of 32 pixels and 7 classes, with its image processor."""
    import torch
    import transformers as t

    rate = 0.1 if dropout else 0.0
    tokens = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    configs = {
        "vit": lambda: t.ViTConfig(**tokens, image_size=32, patch_size=8, hidden_dropout_prob=rate),
        "swin": lambda: t.SwinConfig(
            embed_dim=16,
            depths=[1, 1],
            num_heads=[2, 2],
            image_size=32,
            patch_size=4,
            window_size=4,
            drop_path_rate=rate,
        ),
        "convnext": lambda: t.ConvNextConfig(
            hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, image_size=32, drop_path_rate=rate
        ),
        "mobilenet_v2": lambda: t.MobileNetV2Config(image_size=32, depth_multiplier=0.25, classifier_dropout_prob=rate),
        "resnet": lambda: t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1]),
    }
    config = configs[family]()
    config.id2label = {i: f"class {i}" for i in range(7)}
    config.label2id = {name: i for i, name in config.id2label.items()}
    torch.manual_seed(0)
    t.AutoModelForImageClassification.from_config(config).save_pretrained(path)
    t.ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(
        path
    )
