"""arch: `arch_model`, GARCH(1, 1) with a constant mean, the mean square for what is before the first row."""

from __future__ import annotations

import numpy as np
from arch import arch_model

from .answer import Answer


class Adapter:
    description = "arch_model(vol='GARCH', p=1, q=1), default start and SLSQP, tolerance 1e-10, classic standard errors"

    def __init__(self, case, data, threads, folder):
        self.y = data["y"]

    def fit(self) -> Answer:
        model = arch_model(self.y, mean="Constant", vol="GARCH", p=1, q=1, rescale=False)
        found = model.fit(disp="off", backcast=float(self.y.var()), cov_type="classic", tol=1e-10)
        errors = np.asarray(found.std_err)
        return Answer(np.asarray(found.params), -float(found.loglikelihood), errors, found.convergence_flag == 0)
