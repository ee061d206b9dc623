"""Every test of this room runs with 64-bit numbers, as `fit` does."""

import pytest

from jaxmle.runtime import x64


@pytest.fixture(autouse=True, scope="module")
def _x64():
    with x64():
        yield
