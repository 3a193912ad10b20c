"""An album in words, for the terminal."""

from hfcls.explain.album.page import TITLES, Worth
from hfcls.explain.album.records import Album
from hfcls.explain.faithfulness import MEASURES


def describe(album: Album, worth: Worth) -> str:
    """Of each method how many maps, how long one took and, where measured, what they are worth; what to believe."""
    values = {(row.method, row.measure): row.mean.value for row in worth.rows}
    measures = [name for name in MEASURES if any(measure == name for _, measure in values)]
    lines = [f"{'':<22}{'maps':>6}{'seconds':>9}" + "".join(f"{MEASURES[name].title:>19}" for name in measures)]
    if measures:
        lines.append(" " * 37 + "".join(f"{MEASURES[name].better + ' is better':>19}" for name in measures))
    for name in dict.fromkeys([*album.methods, *(method for method, _ in values)]):
        made = [one for _, one in album.maps() if one.method == name and one.error is None]
        seconds = f"{sum(one.seconds for one in made) / len(made):.2f}" if made else ""
        cells = [f"{values[name, one]:.3f}" if (name, one) in values else "" for one in measures]
        lines.append(f"{TITLES[name]:<22}{len(made) or '':>6}{seconds:>9}" + "".join(f"{cell:>19}" for cell in cells))
    return "\n".join([*(line.rstrip() for line in lines), "", *worth.sentences, *([""] if worth.sentences else [])])


def problems(album: Album) -> list[str]:
    """What could not be explained."""
    unread = [image for image in album.images if image.error]
    failed = [one for _, one in album.maps() if one.error]
    lines = []
    if unread:
        lines.append(f"{_images(len(unread))} could not be read; the first: {unread[0].id!r} {unread[0].error}.")
    for method in dict.fromkeys(one.method for one in failed):
        mine = [one for one in failed if one.method == method]
        lines.append(f"{TITLES[method]} has no map of {_images(len(mine))}; the first: {mine[0].error}")
    return lines


def why_nothing(album: Album) -> str:
    """Of an album without a map: one sentence from the first thing that went wrong."""
    for image, one in album.maps():
        return f"Nothing could be explained; {image.id!r}: {one.error}"
    unread = [image for image in album.images if image.error]
    if not unread:
        return "There are no images to explain."
    return f"None of {_images(len(unread))} could be read; the first: {unread[0].id!r} {unread[0].error}."


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"
