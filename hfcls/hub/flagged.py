"""A folder of pictures that visitors have flagged, kept in a data set on the Hub as well."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import CommitScheduler
from huggingface_hub.errors import HfHubHTTPError

from hfcls.errors import UserError
from hfcls.hub.attempts import Refusals
from hfcls.hub.rights import check_hub
from hfcls.hub_errors import failed

_MINUTES = 5.0


@contextmanager
def pushed_folder(
    folder: Path, repo_id: str, *, say: Callable[[str], None], minutes: float = _MINUTES
) -> Iterator[None]:
    """While open, what is new in a folder is pushed every few minutes, and once more at the end.

    The folder stays as it is; a push that fails is made up for by the next.

    Args:
        folder: where files are only added to.
        repo_id: of a data set, ``user/name``; made, private, where it is missing.
        say: tells the user of a last push that failed.
        minutes: between two pushes.

    Raises:
        UserError: there is no token, or the Hub refuses the data set.
    """
    check_hub(repo_id)
    try:
        scheduler = CommitScheduler(
            repo_id=repo_id,
            folder_path=folder,
            every=minutes,
            repo_type="dataset",
            private=True,
            ignore_patterns=["**/.*", ".*"],  # what is not yet whole
        )
    except HfHubHTTPError as error:
        raise UserError(Refusals(repo_id, "data set").sentence(error)) from None
    except httpx2.TransportError as error:
        raise UserError(f"The Hub {failed(error)}: check the network, or leave --flag_dataset out.") from None
    try:
        yield
    finally:
        try:
            scheduler.trigger().result()
        except Exception as error:  # whatever the client makes of a Hub that fails; the pictures are here
            say(f"note: the last pictures could not be pushed ({type(error).__name__}); they are in {folder}.")
        scheduler.stop()
