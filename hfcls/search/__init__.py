"""Hyperparameter search: many trainings on one study file, by several processes and machines, kill-proof.

To add a strategy, write one function in `hfcls.search.proposals` and add one row; to add a pruner, one in
`hfcls.search.pruning`.
"""

from hfcls.registry import Registry
from hfcls.search.proposals import Strategy, propose_by_gp, propose_by_tpe, propose_nothing
from hfcls.search.pruning import Prune, prune_by_hyperband, prune_by_median, prune_none

__all__ = ["PRUNERS", "STRATEGIES"]

STRATEGIES: Registry[Strategy] = Registry(
    "strategy",
    {
        "tpe": Strategy(
            propose_by_tpe,
            "Tree-structured Parzen estimator, all dimensions together",
            "Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011; Falkner et al., BOHB, ICML "
            "2018.",
            learns=True,
        ),
        "gp": Strategy(
            propose_by_gp,
            "Gaussian process (Matern 5/2), log expected improvement",
            "Ament et al., Unexpected Improvements to Expected Improvement for Bayesian Optimization, NeurIPS 2023.",
            learns=True,
        ),
        "random": Strategy(
            propose_nothing,
            "Independent draws",
            "Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13, 2012.",
        ),
        "grid": Strategy(propose_nothing, "All combinations, in random order", "", combines=True),
    },
)

PRUNERS: Registry[Prune] = Registry(
    "pruner", {"none": prune_none, "median": prune_by_median, "hyperband": prune_by_hyperband}
)
