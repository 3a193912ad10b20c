"""Ways to make one classifier out of several, each with its choice of members.

To add one, write a function from a `Case` to a `Choice`, and a row in ``COMBINATIONS``.
"""

from hfcls.ensembling.base import METRICS, Case, Choice, Combination
from hfcls.ensembling.mixtures import choose_all, fit_mixture, select_greedily
from hfcls.ensembling.soups import choose_whole_soup, select_soup
from hfcls.registry import Registry

COMBINATIONS: Registry[Combination] = Registry(
    "way to combine",
    {
        "average": Combination("mean of the probabilities", choose_all),
        "weighted": Combination("weighted mean, weights learned on validation", fit_mixture),
        "greedy": Combination("members selected greedily on validation", select_greedily, asks=("metric", "bags")),
        "uniform_soup": Combination("one network with the mean of all weights", choose_whole_soup, of="weights"),
        "greedy_soup": Combination(
            "one network with the mean of the weights that validation approves of",
            select_soup,
            of="weights",
            asks=("metric",),
            metric="accuracy",
        ),
    },
)

__all__ = ["COMBINATIONS", "METRICS", "Case", "Choice", "Combination"]
