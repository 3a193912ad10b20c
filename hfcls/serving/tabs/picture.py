"""The place for a picture, the same on each tab that takes one."""

from typing import Any


def build_picture(gradio: Any, *, height: int = 340) -> Any:
    """A place to drop, paste or photograph a picture."""
    return gradio.Image(
        label="Picture",
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        buttons=["fullscreen"],
        height=height,
        placeholder="Drop a picture here\nor click to choose one",
        alt_text="The picture to be classified",
    )
