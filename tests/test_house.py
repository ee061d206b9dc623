"""The house: imports go one way, files stay short, and names say what is inside."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "jaxmle"
FILES = sorted(ROOT.rglob("*.py"))

ROOMS = (
    "errors",
    "process",
    "runtime",
    "blas",
    "special",
    "numerics",
    "declare",
    "data",
    "objective",
    "solve",
    "infer",
    "report",
    "door",
)
"""From the ground up: a file imports only from its own room and those before it."""

DOOR = {
    "predictive",
    "begin",
    "estimate",
    "__init__",
    "__main__",
    "fit",
    "inference",
    "result",
    "cli",
    "clusterings",
    "commands",
    "components",
    "demos",
    "datasets",
    "path",
    "cross_validation",
    "batch",
    "check",
    "design",
    "fits",
    "sklearn",
}

OPTIONAL = {
    "pandas",
    "polars",
    "pyarrow",
    "narwhals",
    "matplotlib",
    "rich",
    "jinja2",
    "formulaic",
    "sklearn",
    "statsmodels",
}


def room(path):
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return "door" if first in DOOR else first


def imports(path):
    """(line, dotted name relative to the package or outside, whether inside a function) of every import."""
    package = path.relative_to(ROOT).with_suffix("").parts
    tree = ast.parse(path.read_text())
    inner = {
        id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in ast.walk(f)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level]
                names = (
                    [(*base, *(node.module or "").split("."))] if node.module else [(*base, a.name) for a in node.names]
                )
                yield from ((node.lineno, tuple(p for p in name if p), True, id(node) in inner) for name in names)
            else:
                yield node.lineno, tuple((node.module or "").split(".")), False, id(node) in inner
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, tuple(a.name.split(".")), False, id(node) in inner) for a in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_up_the_table(path):
    here = ROOMS.index(room(path))
    for line, name, own, inside in imports(path):
        if own:
            there = name[0] if name else "__init__"
            there = "door" if there in DOOR else there
            assert ROOMS.index(there) <= here, f"{path.name}:{line} imports {'.'.join(name)}, which is below it"
            assert not inside or here == ROOMS.index("door"), (
                f"{path.name}:{line} hides an import of ours in a function"
            )
        elif not inside:
            if path == ROOT / "sklearn.py" and name[0] == "sklearn":  # loaded by those alone who have it
                continue
            assert name[0] not in OPTIONAL, f"{path.name}:{line} imports the optional {name[0]} when it is loaded"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short_and_say_what_they_are(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 420
    assert ast.get_docstring(ast.parse(text)), f"{path.name} has no docstring"
    assert path.stem.strip("_") not in ("utils", "helpers", "common", "misc")


def test_the_solvers_know_nothing_of_models_or_data():
    for path in (ROOT / "solve").glob("*.py"):
        for _, name, own, _ in imports(path):
            assert not own or name[0] in ("errors", "runtime", "special", "numerics", "solve"), path.name


def test_inference_reaches_the_data_only_through_the_objective():
    for path in (ROOT / "infer").glob("*.py"):
        assert all(not own or name[0] != "data" for _, name, own, _ in imports(path)), path.name
