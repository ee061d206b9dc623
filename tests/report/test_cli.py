"""The command line and its demo."""

import ast
import math
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from jaxmle import cli, demos
from jaxmle.datasets import certified
from jaxmle.demos.certified import correct_digits
from jaxmle.demos.stage import draw


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The demo, run once: exit status, what it printed, and the picture."""
    import contextlib
    import io

    path = tmp_path_factory.mktemp("demo") / "picture.png"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = cli.main(["demo", "--save", str(path)])
    return status, out.getvalue(), path


def test_the_demo_converges_and_draws(shown):
    status, text, path = shown
    assert status == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert str(path) in text
    assert text.count("optimum proved") == 2
    assert len(re.findall(r"Newton, \d+ steps?, .*\(compile .*\)", text)) == 2
    assert "of compiling" in text


def test_the_demo_has_the_certified_digits(shown):
    lines = re.findall(r"^(\w+) .* ([\d.]+) of (\d+)$", shown[1], re.MULTILINE)
    assert len(lines) == 7 + 7 + 7
    for name, found in (("thurber", lines[:7]), ("longley", lines[7:14])):
        answer = certified(name)
        assert [term for term, _, _ in found] == list(answer["estimates"])
        for term, digits, _ in found:
            value = answer["estimates"][term]
            promised = -math.log10(1e-6 * answer["std_errors"][term] / abs(value))  # within 1e-6 standard errors
            assert float(digits) >= promised - 0.05, term  # as printed
    assert min(float(digits) for _, digits, _ in lines[14:]) > 6  # standard errors
    assert "1,288.1396" in shown[1]


def test_correct_digits():
    assert correct_digits(1.01, 1.0, 11) == pytest.approx(2.0)
    assert correct_digits(-250.0, -250.0, 11) == 11


def test_without_matplotlib_there_is_no_picture_and_no_error(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    draw(tmp_path / "p.png", 1, lambda ax: None)
    assert "pip install 'jaxmle[plots]'" in capsys.readouterr().out


@pytest.mark.parametrize(("converged", "status"), [(True, 0), (False, 1)])
def test_the_exit_status_says_whether_it_converged(monkeypatch, converged, status):
    monkeypatch.setattr(demos, "run", lambda name, picture: converged)
    assert cli.main(["demo"]) == status


@pytest.mark.parametrize("argv", [["demo", "--save", "picture.txt"], ["demo", "--save", "no/such/p.png"], ["dance"]])
def test_usage_errors_exit_with_two_before_anything_runs(monkeypatch, capsys, argv):
    monkeypatch.setattr(demos, "run", None)
    with pytest.raises(SystemExit, match="2"):
        cli.main(argv)
    assert "jaxmle" in capsys.readouterr().err


def test_help_and_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    assert "demo" in capsys.readouterr().out
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"jaxmle {version('jaxmle')}"
    assert cli.main([]) == 2


def test_only_subcommands_import_more_than_the_standard_library():
    for node in ast.parse(Path(cli.__file__).read_text()).body:
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module.split(".")[0] in sys.stdlib_module_names
