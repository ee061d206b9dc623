"""What keeps JAX from tracing or differentiating a function of the user's, in words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import jax

from ..errors import DataError, ModelError


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Say in words what keeps JAX from tracing a function of the user's, `what`; raises `ModelError`."""
    try:
        yield
    except (ModelError, DataError):
        raise
    except jax.errors.TracerBoolConversionError as error:
        why = (
            "it uses `if`, `and`, `or`, `min` or `max` on a value that is only known later; "
            "write jnp.where(condition, a, b)"
        )
        raise _unusable(what, why) from error
    except jax.errors.TracerArrayConversionError as error:
        why = (
            "it passes a parameter or a column to NumPy or SciPy; use jax.numpy (jnp.log for np.log), jax.scipy or "
            "jaxmle.numerics"
        )
        raise _unusable(what, why) from error
    except jax.errors.ConcretizationTypeError as error:
        why = "it needs a value as a Python number (float(...), int(...), range(...)); keep it a jax.numpy expression"
        raise _unusable(what, why) from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        first = str(error).strip().split("\n")[0].rstrip(".")
        first = re.sub(r"\w*Tracer|ShapedArray", "Array", first)  # what the user calls it
        raise _unusable(what, f"{type(error).__name__}: {first}") from error


LOOPS = (
    "it has a loop whose number of rounds depends on values (jax.lax.while_loop, or fori_loop with such bounds); write "
    "jax.lax.scan, or fori_loop, of a fixed number of rounds, with jnp.where for those that do not count"
)

NOT_DERIVED = (
    ("jvp) to a custom_vjp", "it has a function with jax.custom_vjp, or one of a package that has (as JAX's odeint), which has "
     "no forward derivatives; give it its derivatives by jax.custom_jvp, or integrate by jax.lax.scan"),
    ("Reverse-mode differentiation does not work", LOOPS),
    ("'NoneType' and 'tuple'", LOOPS),
    ("callbacks do not support JVP", "it calls Python back, which has no derivatives; write it with jax.numpy, or give it its "
     "derivatives by jax.custom_jvp"),
)  # fmt: skip
"""What JAX says of a function that it cannot differentiate, and in other words."""


@contextlib.contextmanager
def differentiated(what: str) -> Iterator[None]:
    """Say in words what keeps JAX from differentiating a function of the user's, `what`; raises `ModelError`."""
    try:
        yield
    except (TypeError, ValueError, NotImplementedError) as error:
        why = next((why for said, why in NOT_DERIVED if said in str(error)), None)
        if why is None or isinstance(error, (ModelError, DataError)):
            raise
        raise ModelError(f"{what} cannot be differentiated twice: {why}.") from error


def _unusable(what: str, why: str) -> ModelError:
    return ModelError(f"{what} cannot be evaluated: {why}.")
