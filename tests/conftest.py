"""What all tests share: two CPU devices, a compile cache of the test run's own, and the reference cases where they are."""

import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("JAXMLE_CACHE_DIR", str(Path(tempfile.gettempdir()) / "jaxmle-test-cache"))

import jax

jax.config.update("jax_num_cpu_devices", 2)

import pytest

from jaxmle import runtime

SHARED = Path(__file__).parents[2] / "shared" / "cases"


def read_cases() -> list[dict]:
    """The verified reference cases; none where they are not at hand."""
    path = SHARED / "cases.json"
    return json.loads(path.read_text()) if path.exists() else []


MOST_MAPS = 12_000
"""Each compiled program takes a few memory maps of the process, and Linux allows 65,530: then it dies."""


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Programs of earlier modules are forgotten where there are many."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > MOST_MAPS:
        runtime.forget_programs()


@pytest.fixture(scope="session")
def cases() -> dict[str, dict]:
    """The reference cases by id; tests that need them are skipped where they are not at hand."""
    found = read_cases()
    if not found:
        pytest.skip("the reference cases are not part of this repository")
    return {case["id"]: case for case in found}
