"""hmmlearn: `PoissonHMM` by EM from the start of the case, the first state's distribution held; no standard errors."""

from __future__ import annotations

import numpy as np
from hmmlearn.hmm import PoissonHMM

from .answer import Answer

MAX_STEPS = 10_000


class Adapter:
    description = "PoissonHMM(2), EM from quartiles, a gain below 1e-5 at the end; no standard errors"

    def __init__(self, case, data, threads, folder):
        self.y, self.start = data["y"].astype(int).reshape(-1, 1), case.start(data)

    def fit(self) -> Answer:
        model = PoissonHMM(2, params="tl", init_params="", n_iter=MAX_STEPS, tol=1e-5)
        low, high, first, second = self.start
        model.startprob_ = np.array([0.5, 0.5])
        model.lambdas_ = np.array([[low], [high]])
        model.transmat_ = np.array([[first, 1 - first], [1 - second, second]])
        model.fit(self.y)
        theta = np.concatenate([model.lambdas_.ravel(), np.diag(model.transmat_)])
        steps = model.monitor_.iter
        return Answer(theta, -float(model.score(self.y)), None, steps < MAX_STEPS, {"steps": steps})
