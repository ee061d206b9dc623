"""The README and the docs are run, and print what they say: blocks of Python, each followed by what it printed."""

import contextlib
import io
import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.S)


def shown(text):
    """Text without what differs from run to run: seconds, steps, distances in the noise; and without spacing."""
    text = re.sub(r"\d+ steps, .*", "steps", text)
    text = re.sub(r"\d+e-\d+ standard errors away", "standard errors away", text)
    return re.sub(r"\s+", " ", text).strip()


@pytest.mark.parametrize("page", [p for p in PAGES if BLOCK.search(p.read_text())], ids=lambda p: p.name)
def test_the_page_prints_what_it_says(page, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    names = {}
    for code, expected in BLOCK.findall(page.read_text()):
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # what a terminal is: intervals are drawn
        with contextlib.redirect_stdout(out), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the pages show fits that warn
            exec(compile(code, str(page), "exec"), names)
        out.seek(0)
        if expected:
            assert shown(out.read()) == shown(expected)
