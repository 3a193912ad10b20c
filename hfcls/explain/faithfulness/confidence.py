"""What the probability loses with the highlighted part, beside what it loses with any part."""

from hfcls.explain.faithfulness.base import Case, Outcome

# Of the image, and how many random parts of the same size stand beside it.
SHARE, DRAWS = 0.2, 5


def drop(case: Case) -> Outcome:
    """How much more the probability falls without the top fifth of the map than without a random fifth.

    Both take the image's mean colour. The random parts are patches as large as a heat map's, since single pixels
    strewn over the image would spoil it in another way; they are the same for all maps of an image.
    """
    subject = case.subject
    top = case.ranks < round(SHARE * case.ranks.size)
    (left,) = subject.probabilities(subject.replaced(top[None], subject.mean_colour))
    random = subject.replaced(subject.random_parts(SHARE, DRAWS), subject.mean_colour)
    return Outcome(float(subject.probabilities(random).mean() - left))
