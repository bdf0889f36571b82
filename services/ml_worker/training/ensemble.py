"""Several trained networks judged as one: the average of what each said of the images it never saw.

`network.explain` averages the networks themselves, inside one exported file, so that nothing changes at run time but
its cost. Members share backbone, frozen part and images; seeds of folds, views and networks may differ.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.ml_worker.training.crossval import HeldOut, best_epoch
from services.ml_worker.training.fit import Labels
from shared.errors import SetupError


def averaged(
    members: Sequence[Sequence[HeldOut]], labels: Labels, chosen: NDArray[np.bool_]
) -> list[HeldOut]:
    """One run for each of the members' first, second, ... seeds: the mean logits, each after its own best epoch.

    No member saw an image that it says something of here, whatever its folds are. The folds kept are the first
    member's, which is all that the gate needs. SetupError where the members have unlike numbers of seeds.
    """
    if len({len(runs) for runs in members}) != 1 or not members[0]:
        counts = ", ".join(str(len(runs)) for runs in members)
        raise SetupError(
            f"Every member needs the same number of cross-validations, one at least; got {counts}."
        )
    best = [[run.only(best_epoch(runs, labels, chosen)) for run in runs] for runs in members]
    return [
        HeldOut(np.mean([run.logits for run in together], axis=0), together[0].fold)
        for together in zip(*best, strict=True)
    ]
