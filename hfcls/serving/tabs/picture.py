"""The place for a picture, the same on each tab that takes one."""

from pathlib import Path
from typing import Any

from hfcls.serving.examples import save_examples


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


def build_examples(gradio: Any, picture: Any) -> None:
    """Drawn pictures to begin with."""
    from gradio.utils import get_upload_folder

    examples = save_examples(Path(get_upload_folder()) / "drawn")
    gradio.Examples(
        [[str(place)] for place in examples.values()],
        inputs=[picture],
        label="Or try a drawing",
        api_visibility="private",
    )
