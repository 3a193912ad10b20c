"""The catalogue of architectures: a row for each name that `--architecture` takes beside timm's own names.

Light to import. The figures are measured by `hfcls.models.figures`; tests measure them again.
"""
# ruff: noqa: E501

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One architecture.

    Attributes:
        name: what `--architecture` takes.
        family: what it is counted among, in lower case.
        parameters: weights and biases, trained or fixed, with `classes` classes.
        macs: multiplications (of pairs that are summed up) in convolutions and matrix products, for one image of
            `image_size` with `classes` classes.
        image_size: height and width in pixels where --image_size is left out.
        classes: the number of classes that the figures are for.
        year: of the paper; None where there is no paper.
        paper: authors, year, title, arXiv number or venue.
        source: whose code it is: hfcls, torchvision, timm or transformers.
        source_name: what it is called there.
        checkpoint: what `--pretrained` loads, a Hub id; None where there is none.
        license: of the checkpoint, as its model card says.
    """

    name: str
    family: str
    parameters: int
    macs: int
    image_size: int
    classes: int
    year: int | None
    paper: str | None
    source: str
    source_name: str
    checkpoint: str | None = None
    license: str | None = None


_LENET = "LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition, Proc. IEEE"
_ALEXNET = (
    "Krizhevsky, Sutskever, Hinton 2012, ImageNet classification with deep convolutional neural networks, NeurIPS; "
    "in the form of Krizhevsky 2014, arXiv:1404.5997"
)
_VGG = "Simonyan, Zisserman 2014, Very deep convolutional networks for large-scale image recognition, arXiv:1409.1556"
_GOOGLENET = "Szegedy et al. 2014, Going deeper with convolutions, arXiv:1409.4842"
_INCEPTION = "Szegedy et al. 2015, Rethinking the Inception architecture for computer vision, arXiv:1512.00567"
_XCEPTION = "Chollet 2016, Xception: deep learning with depthwise separable convolutions, arXiv:1610.02357"
_RESNET = "He, Zhang, Ren, Sun 2015, Deep residual learning for image recognition, arXiv:1512.03385"
_AIRBENCH = "Jordan 2024, 94% on CIFAR-10 in 3.29 seconds on a single GPU, arXiv:2404.00498 (in its spirit)"
_DENSENET = "Huang, Liu, van der Maaten, Weinberger 2016, Densely connected convolutional networks, arXiv:1608.06993"
_SQUEEZENET = "Iandola et al. 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, arXiv:1602.07360"
_MOBILENET2 = "Sandler et al. 2018, MobileNetV2: inverted residuals and linear bottlenecks, arXiv:1801.04381"
_MOBILENET3 = "Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244"
_EFFICIENTNET = "Tan, Le 2019, EfficientNet: rethinking model scaling for CNNs, arXiv:1905.11946"
_EFFICIENTNET2 = "Tan, Le 2021, EfficientNetV2: smaller models and faster training, arXiv:2104.00298"
_SENET = "Hu, Shen, Albanie, Sun, Wu 2017, Squeeze-and-excitation networks, arXiv:1709.01507"
_CONVNEXT = "Liu, Mao, Wu, Feichtenhofer, Darrell, Xie 2022, A ConvNet for the 2020s, arXiv:2201.03545"
_VIT = "Dosovitskiy et al. 2020, An image is worth 16x16 words, arXiv:2010.11929"
_AUGREG = "Steiner et al. 2021, How to train your ViT?, arXiv:2106.10270 (the network: Dosovitskiy et al. 2020)"
_DEIT = "Touvron et al. 2020, Training data-efficient image transformers, arXiv:2012.12877 (without distillation)"
_SWIN = "Liu et al. 2021, Swin Transformer: hierarchical vision transformer using shifted windows, arXiv:2103.14030"
_DINOV2 = "Oquab et al. 2023, DINOv2: learning robust visual features without supervision, arXiv:2304.07193"
_CRNN = (
    "Shi, Bai, Yao 2015, An end-to-end trainable neural network for image-based sequence recognition, arXiv:1507.05717"
)
_VIT_WEIGHTS, _APACHE, _BSD = "augreg_in21k_ft_in1k", "apache-2.0", "bsd-3-clause"

# Name, family, parameters, MACs, image size, classes, year, paper, source, name there, checkpoint, licence.
# fmt: off
_ROWS = (
    Entry("simple_cnn", "cnn", 2_122_186, 7_705_600, 32, 10, None, None, "hfcls", "simple_cnn"),
    Entry("lenet5", "lenet", 61_706, 416_520, 32, 10, 1998, _LENET, "hfcls", "lenet5"),
    Entry("cifar_resnet20", "resnet", 269_722, 40_551_040, 32, 10, 2015, _RESNET, "hfcls", "cifar_resnet20"),
    Entry("cifar_resnet56", "resnet", 853_018, 125_485_696, 32, 10, 2015, _RESNET, "hfcls", "cifar_resnet56"),
    Entry("cifar_fast", "cnn", 1_972_792, 118_147_360, 32, 10, 2024, _AIRBENCH, "hfcls", "cifar_fast"),
    Entry("cifar_fast_wide", "cnn", 9_918_776, 451_967_264, 32, 10, 2024, _AIRBENCH, "hfcls", "cifar_fast_wide"),
    Entry("crnn", "crnn", 10_020_746, 253_432_832, 32, 10, 2015, _CRNN, "hfcls", "crnn"),
    Entry("alexnet", "alexnet", 61_100_840, 714_188_480, 224, 1000, 2012, _ALEXNET, "torchvision", "alexnet"),
    Entry("vgg16", "vgg", 138_357_544, 15_470_264_320, 224, 1000, 2014, _VGG, "timm", "vgg16", "timm/vgg16.tv_in1k", _BSD),
    Entry("vgg19", "vgg", 143_667_240, 19_632_062_464, 224, 1000, 2014, _VGG, "timm", "vgg19", "timm/vgg19.tv_in1k", _BSD),
    Entry("googlenet", "inception", 6_624_904, 1_498_376_192, 224, 1000, 2014, _GOOGLENET, "torchvision", "googlenet"),
    Entry("inception_v3", "inception", 23_834_568, 5_713_216_096, 299, 1000, 2015, _INCEPTION, "timm", "inception_v3", "timm/inception_v3.tv_in1k", _APACHE),
    Entry("xception", "inception", 22_855_952, 8_357_403_496, 299, 1000, 2016, _XCEPTION, "timm", "legacy_xception"),
    Entry("resnet18", "resnet", 11_689_512, 1_814_073_344, 224, 1000, 2015, _RESNET, "timm", "resnet18", "timm/resnet18.a1_in1k", _APACHE),
    Entry("resnet50", "resnet", 25_557_032, 4_089_184_256, 224, 1000, 2015, _RESNET, "timm", "resnet50", "timm/resnet50.a1_in1k", _APACHE),
    Entry("resnet152", "resnet", 60_192_808, 11_513_626_624, 224, 1000, 2015, _RESNET, "timm", "resnet152", "timm/resnet152.a1h_in1k", _APACHE),
    Entry("seresnet50", "resnet", 28_088_024, 4_091_699_200, 224, 1000, 2017, _SENET, "timm", "seresnet50", "timm/seresnet50.a1_in1k", _APACHE),
    Entry("densenet121", "densenet", 7_978_856, 2_834_161_664, 224, 1000, 2016, _DENSENET, "timm", "densenet121", "timm/densenet121.ra_in1k", _APACHE),
    Entry("squeezenet1_1", "squeezenet", 1_235_496, 349_151_936, 224, 1000, 2016, _SQUEEZENET, "torchvision", "squeezenet1_1"),
    Entry("mobilenetv2_100", "mobilenet", 3_504_872, 300_774_272, 224, 1000, 2018, _MOBILENET2, "timm", "mobilenetv2_100", "timm/mobilenetv2_100.ra_in1k", _APACHE),
    Entry("mobilenetv3_large_100", "mobilenet", 5_483_032, 216_589_760, 224, 1000, 2019, _MOBILENET3, "timm", "mobilenetv3_large_100", "timm/mobilenetv3_large_100.ra_in1k", _APACHE),
    Entry("efficientnet_b0", "efficientnet", 5_288_548, 385_814_752, 224, 1000, 2019, _EFFICIENTNET, "timm", "efficientnet_b0", "timm/efficientnet_b0.ra_in1k", _APACHE),
    Entry("efficientnetv2_s", "efficientnet", 21_458_488, 5_307_561_248, 300, 1000, 2021, _EFFICIENTNET2, "timm", "tf_efficientnetv2_s", "timm/tf_efficientnetv2_s.in21k_ft_in1k", _APACHE),
    Entry("convnext_tiny", "convnext", 28_589_128, 4_455_531_264, 224, 1000, 2022, _CONVNEXT, "timm", "convnext_tiny", "timm/convnext_tiny.in12k_ft_in1k", _APACHE),
    Entry("vit_tiny", "vit", 5_717_416, 1_253_683_200, 224, 1000, 2021, _AUGREG, "timm", "vit_tiny_patch16_224", f"timm/vit_tiny_patch16_224.{_VIT_WEIGHTS}", _APACHE),
    Entry("vit_small", "vit", 22_050_664, 4_598_882_304, 224, 1000, 2021, _AUGREG, "timm", "vit_small_patch16_224", f"timm/vit_small_patch16_224.{_VIT_WEIGHTS}", _APACHE),
    Entry("vit_base", "vit", 86_567_656, 17_563_828_224, 224, 1000, 2020, _VIT, "timm", "vit_base_patch16_224", "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k", _APACHE),
    Entry("deit_tiny", "deit", 5_717_416, 1_253_683_200, 224, 1000, 2020, _DEIT, "timm", "deit_tiny_patch16_224", "timm/deit_tiny_patch16_224.fb_in1k", _APACHE),
    Entry("deit_small", "deit", 22_050_664, 4_598_882_304, 224, 1000, 2020, _DEIT, "timm", "deit_small_patch16_224", "timm/deit_small_patch16_224.fb_in1k", _APACHE),
    Entry("deit_base", "deit", 86_567_656, 17_563_828_224, 224, 1000, 2020, _DEIT, "timm", "deit_base_patch16_224", "timm/deit_base_patch16_224.fb_in1k", _APACHE),
    Entry("swin_tiny", "swin", 28_288_354, 4_490_566_656, 224, 1000, 2021, _SWIN, "timm", "swin_tiny_patch4_window7_224", "timm/swin_tiny_patch4_window7_224.ms_in1k", "mit"),
    Entry("dinov2_small", "dinov2", 22_398_184, 6_124_329_984, 224, 1000, 2023, _DINOV2, "transformers", "Dinov2ForImageClassification", "facebook/dinov2-small-imagenet1k-1-layer", _APACHE),
)
# fmt: on

CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ROWS}
