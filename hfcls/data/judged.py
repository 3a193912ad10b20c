"""A split as a trained classifier is judged on it."""

from datasets import Dataset

from hfcls.data.batches import ImageDataset
from hfcls.data.labelled import LabelledData
from hfcls.data.labels import in_order_of
from hfcls.data.pixel_cache import contents_of
from hfcls.data.transforms import Preprocessing


def split_for(
    name: str, class_names: tuple[str, ...], data: Dataset, loaded: LabelledData, preprocessing: Preprocessing
) -> ImageDataset:
    """A split in a classifier's size, with labels as it numbers them; from the cache where a training has built one.

    Args:
        name: of the classifier, for messages.
        class_names: its K names, in the order of its logits.
        data: the split, of `loaded`.
        loaded: all splits, which share a cache.
        preprocessing: of the classifier.

    Raises:
        UserError: the split has images of a class that the classifier does not know.
    """
    cache = contents_of(loaded.splits, preprocessing).open()
    ordered = in_order_of(data, class_names, name)
    dataset = ImageDataset(ordered, preprocessing, max_pixels=loaded.max_image_pixels, cache=cache)
    dataset.class_names = class_names
    return dataset
