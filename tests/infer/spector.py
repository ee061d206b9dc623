"""Whether 32 students' grades improved, by grade point average, test score and a teaching method.

Spector and Mazzeo (1980), Probit analysis and economic education, Journal of Economic Education 11, 37-44.
"""

import numpy as np

GPA = "2.66 2.89 3.28 2.92 4.0 2.86 2.76 2.87 3.03 3.92 2.63 3.32 3.57 3.26 3.53 2.74 2.75 2.83 3.12 3.16 2.06 3.62 2.89 3.51 3.54 2.83 3.39 2.67 3.65 4.0 3.1 2.39"  # fmt: skip # noqa: E501
TUCE = "20 22 24 12 21 17 17 21 25 29 20 23 23 25 26 19 25 19 23 25 22 28 14 26 24 27 17 24 21 23 21 19"
GRADE = "0 0 0 0 1 0 0 0 0 1 0 0 0 1 0 0 0 0 0 1 0 1 0 0 1 1 1 0 1 1 0 1"


def spector():
    """The columns `grade`, `gpa`, `tuce` and `psi`."""
    of = lambda text: np.array(text.split(), float)
    return {"grade": of(GRADE), "gpa": of(GPA), "tuce": of(TUCE), "psi": np.repeat([0.0, 1.0], [18, 14])}
