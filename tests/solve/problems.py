"""The test problems of Moré, Garbow and Hillstrom (1981), Testing unconstrained optimization software,
ACM Transactions on Mathematical Software 7, 17-41: residuals, standard starts and published minimal sums of squares."""

from dataclasses import dataclass
from functools import cache

import jax.numpy as jnp
import numpy as np

from .functions import Smooth

T = np.arange(1, 17)


@dataclass(frozen=True, eq=False)
class Problem:
    """`residuals(x)`, their start, and the published values of Σ r² at minima, the global one first."""

    name: str
    residuals: object
    start: tuple
    minima: tuple

    @property
    def x0(self):
        return np.array(self.start, dtype=np.float64)

    def function(self):
        return _function(self).fresh()


@cache
def _function(problem):
    return Smooth(lambda x: jnp.sum(problem.residuals(x) ** 2), len(problem.start))


def rosenbrock(x):
    return jnp.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def extended_rosenbrock(x):
    odd, even = x[::2], x[1::2]
    return jnp.concatenate([10 * (even - odd**2), 1 - odd])


def freudenstein_roth(x):
    a, b = x
    return jnp.array([-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b])


def powell_badly_scaled(x):
    return jnp.array([1e4 * x[0] * x[1] - 1, jnp.exp(-x[0]) + jnp.exp(-x[1]) - 1.0001])


def brown_badly_scaled(x):
    return jnp.array([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def beale(x):
    return jnp.array([y - x[0] * (1 - x[1] ** i) for i, y in ((1, 1.5), (2, 2.25), (3, 2.625))])


def jennrich_sampson(x):
    i = T[:10]
    return 2 + 2 * i - (jnp.exp(i * x[0]) + jnp.exp(i * x[1]))


def helical_valley(x):
    angle = jnp.arctan(x[1] / x[0]) / (2 * jnp.pi) + jnp.where(x[0] > 0, 0.0, 0.5)
    return jnp.array([10 * (x[2] - 10 * angle), 10 * (jnp.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]])


BARD = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])


def bard(x):
    u = T[:15]
    v = 16 - u
    return BARD - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


MEYER = np.array(
    [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872.0]
)


def meyer(x):
    return x[0] * jnp.exp(x[1] / (45 + 5 * T + x[2])) - MEYER


def box(x):
    t = 0.1 * T[:10]
    return jnp.exp(-t * x[0]) - jnp.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def powell_singular(x):
    a, b, c, d = x
    return jnp.array([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])


def wood(x):
    a, b, c, d = x
    return jnp.array([10 * (b - a**2), 1 - a, 90**0.5 * (d - c**2), 1 - c, 10**0.5 * (b + d - 2), (b - d) / 10**0.5])


KOWALIK_Y = np.array([0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
KOWALIK_U = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])


def kowalik_osborne(x):
    u = KOWALIK_U
    return KOWALIK_Y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x):
    t = np.arange(1, 21) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


OSBORNE_1 = np.array(
    [0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603,
     0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411,
     0.406]
)  # fmt: skip


def osborne_1(x):
    t = 10.0 * np.arange(33)
    return OSBORNE_1 - (x[0] + x[1] * jnp.exp(-t * x[3]) + x[2] * jnp.exp(-t * x[4]))


def biggs_exp6(x):
    t = 0.1 * T[:13]
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * jnp.exp(-t * x[0]) - x[3] * jnp.exp(-t * x[1]) + x[5] * jnp.exp(-t * x[4]) - y


OSBORNE_2 = np.array(
    [1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606,
     0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423,
     0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668,
     0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098,
     0.054]
)  # fmt: skip


def osborne_2(x):
    t = 0.1 * np.arange(65)
    bumps = sum(x[1 + k] * jnp.exp(-((t - x[8 + k]) ** 2) * x[5 + k]) for k in range(3))
    return OSBORNE_2 - (x[0] * jnp.exp(-t * x[4]) + bumps)


def watson(x):
    j, t = np.arange(len(x)), (np.arange(1, 30) / 29)[:, None]
    rows = (t ** np.maximum(j - 1, 0) * j) @ x - (t**j @ x) ** 2 - 1
    return jnp.concatenate([rows, jnp.array([x[0], x[1] - x[0] ** 2 - 1])])


def penalty_1(x):
    return jnp.append(1e-5**0.5 * (x - 1), jnp.sum(x**2) - 0.25)


def variably_dimensioned(x):
    total = np.arange(1, len(x) + 1) @ (x - 1)
    return jnp.concatenate([x - 1, jnp.array([total, total**2])])


def trigonometric(x):
    n = len(x)
    return n - jnp.sum(jnp.cos(x)) + np.arange(1, n + 1) * (1 - jnp.cos(x)) - jnp.sin(x)


def broyden_tridiagonal(x):
    padded = jnp.pad(x, 1)
    return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1


def chebyquad(x):
    before, now, rows = jnp.ones_like(x), 2 * x - 1, []
    for i in range(1, len(x) + 1):
        rows.append(jnp.mean(now) + (1 / (i**2 - 1) if i % 2 == 0 else 0))
        before, now = now, 2 * (2 * x - 1) * now - before
    return jnp.stack(rows)


PROBLEMS = (
    Problem("Rosenbrock", rosenbrock, (-1.2, 1), (0,)),
    Problem("Freudenstein and Roth", freudenstein_roth, (0.5, -2), (0, 48.98425)),
    Problem("Powell badly scaled", powell_badly_scaled, (0, 1), (0,)),
    Problem("Brown badly scaled", brown_badly_scaled, (1, 1), (0,)),
    Problem("Beale", beale, (1, 1), (0,)),
    Problem("Jennrich and Sampson", jennrich_sampson, (0.3, 0.4), (124.362,)),
    Problem("helical valley", helical_valley, (-1, 0, 0), (0,)),
    Problem("Bard", bard, (1, 1, 1), (8.21487e-3, 17.4286)),
    Problem("Meyer", meyer, (0.02, 4000, 250), (87.9458,)),
    Problem("Box three-dimensional", box, (0, 10, 20), (0,)),
    Problem("Powell singular", powell_singular, (3, -1, 0, 1), (0,)),
    Problem("Wood", wood, (-3, -1, -3, -1), (0,)),
    Problem("Kowalik and Osborne", kowalik_osborne, (0.25, 0.39, 0.415, 0.39), (3.07505e-4, 1.02734e-3)),
    Problem("Brown and Dennis", brown_dennis, (25, 5, -5, -1), (85822.2,)),
    Problem("Osborne 1", osborne_1, (0.5, 1.5, -1, 0.01, 0.02), (5.46489e-5,)),
    Problem("Biggs EXP6", biggs_exp6, (1, 2, 1, 1, 1, 1), (0, 5.65565e-3)),
    Problem("Osborne 2", osborne_2, (1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5), (4.01377e-2,)),
    Problem("Watson, 6", watson, (0,) * 6, (2.28767e-3,)),
    Problem("Watson, 9", watson, (0,) * 9, (1.39976e-6,)),
    Problem("penalty I, 4", penalty_1, (1, 2, 3, 4), (2.24997e-5,)),
    Problem("variably dimensioned, 10", variably_dimensioned, tuple(1 - j / 10 for j in range(1, 11)), (0,)),
    Problem("trigonometric, 10", trigonometric, (0.1,) * 10, (0, 2.79506e-5)),
    Problem("Broyden tridiagonal, 10", broyden_tridiagonal, (-1,) * 10, (0,)),
    Problem("Chebyquad, 8", chebyquad, tuple(j / 9 for j in range(1, 9)), (3.51687e-3,)),
    Problem("extended Rosenbrock, 40", extended_rosenbrock, (-1.2, 1) * 20, (0,)),
)
