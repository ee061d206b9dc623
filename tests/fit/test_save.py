"""A saved fit is the fit without its data: equal in every number, readable by nothing but NumPy and JSON, and whole."""

import json
import os
import warnings
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm

from .models import NORMAL, POISSON, array, bernoulli, counts, fit

DATA = counts()
SECRET = 271828.182845904523


def network(p, row):
    return -0.5 * (row["y"] - p["net"]["out"] @ jnp.tanh(p["net"]["in"] * row["x"])) ** 2


def cauchy(p, row):
    return -jnp.log1p((row["y"] - p["m"]) ** 2)


def pair(p, row):
    away = row["y"] - p["mean"]
    return -0.5 * away @ jnp.linalg.solve(p["cov"], away) - 0.5 * jnp.linalg.slogdet(p["cov"])[1]


def gamma_shape(p, row):
    return p["a"] * row["x"] - p["a"] ** 2 * 0.5


def quietly(model, data, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jm.FitWarning)
        return fit(model, data, **arguments)


def make_network():
    start = {"in": np.array([0.5, -1.0]), "out": np.array([1.0, 0.3])}
    data = {"x": np.linspace(-2, 2, 50), "y": np.tanh(np.linspace(-2, 2, 50)) + 0.1}
    return quietly(jm.Model(network, {"net": jm.Tree(start)}), data, solver="lbfgs")


def make_pair():
    y = np.random.default_rng(0).multivariate_normal([0, 1], [[1, 0.5], [0.5, 2]], 40)
    return fit(jm.Model(pair, {"mean": jm.Real(shape=2), "cov": jm.Covariance(2)}, name="Σ of two"), {"y": y})


CASES = {
    "poisson": lambda: fit(POISSON, DATA),
    "weighted, one coefficient held": lambda: fit(
        POISSON, DATA, probability_weights="w", fixed={"rate[x]": 0.4}, penalty=lambda p: 0.1 * jnp.sum(p["rate"] ** 2)
    ),
    "boundary": lambda: quietly(jm.Model(bernoulli, {"p": jm.UnitInterval()}), {"y": np.zeros(9)}),
    "not identified": lambda: quietly(
        jm.Model(lambda p, row: -0.5 * (row["y"] - p["a"] - p["b"]) ** 2, {"a": jm.Real(), "b": jm.Real()}), DATA
    ),
    "interval": lambda: fit(jm.Model(gamma_shape, {"a": jm.Interval(-2, 3)}), {"x": DATA["x"]}),
    "covariance": make_pair,
    "network": make_network,
    "several optima": lambda: fit(
        jm.Model(cauchy, {"m": jm.Real()}),
        {"y": np.repeat([-3.0, 3.0], [20, 10])},
        solver=jm.MultiStart(starts=8, spread=4.0),
    ),
    "rows dropped": lambda: fit(NORMAL, {"y": [1.0, 2.0, np.nan, 4.0]}, missing="drop"),
}


@pytest.fixture(scope="module", params=CASES)
def fitted(request):
    return CASES[request.param]()


def same(a, b):
    """Equal to the last bit, NaN equal to NaN, arrays and mappings included."""
    if isinstance(a, dict) or hasattr(a, "items"):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return a == b or (a != a and b != b)


NAMES = ("params", "coef", "std_errors", "withheld", "z_values", "p_values", "log_likelihood", "n_obs", "df", "aic", "bic",
         "converged", "solver", "n_steps", "seconds", "optima")  # fmt: skip
CERTIFICATE = ("status", "reason", "remedy", "proved", "gradient", "gain", "distance", "eigenvalues", "condition", "cautions",
               "usable")  # fmt: skip


def test_a_loaded_fit_is_equal_in_every_number(fitted, tmp_path):
    path = tmp_path / "fit.npz"
    fitted.save(path)
    loaded = jm.load(path)
    for name in NAMES:
        assert same(getattr(fitted, name), getattr(loaded, name)), name
        assert type(getattr(fitted, name)) is type(getattr(loaded, name)), name
    for name in CERTIFICATE:
        assert same(getattr(fitted.certificate, name), getattr(loaded.certificate, name)), name
    assert same(fitted.covariance(), loaded.covariance())
    assert same(fitted.confint(0.9), loaded.confint(0.9))
    assert str(loaded) == str(fitted)
    assert loaded._repr_html_() == fitted._repr_html_()
    assert str(loaded.certificate) == str(fitted.certificate)
    tidy, expected = loaded.tidy(), fitted.tidy()
    assert all(same(np.asarray(tidy[k]), np.asarray(expected[k])) for k in expected)
    again = tmp_path / "again.npz"
    loaded.save(again)
    assert same(jm.load(again).coef, fitted.coef)
    assert same(jm.load(again).covariance(), fitted.covariance())


def test_directions_and_checks_of_the_derivatives_come_back(tmp_path):
    result = CASES["not identified"]()
    result.save(tmp_path / "fit")
    loaded = jm.load(tmp_path / "fit")
    (direction,), (expected,) = loaded.certificate.directions, result.certificate.directions
    assert (direction.kind, direction.words) == (expected.kind, expected.words)
    np.testing.assert_array_equal(direction.vector, expected.vector)
    assert loaded.certificate.at_start == result.certificate.at_start
    assert loaded.withheld == result.withheld != {}


def test_the_file_holds_no_pickle_and_no_data(tmp_path):
    n = 20_000
    rng = np.random.default_rng(1)
    data = {"y": rng.poisson(2.0, n), "x": rng.normal(size=n), "z": rng.normal(size=n)}
    data["x"][77] = SECRET / 1e5
    result = fit(POISSON, data, weights=np.where(np.arange(n) == 3, 31415.0, 1.0))
    path = tmp_path / "fit.npz"
    result.save(path)
    assert path.stat().st_size < 10_000
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert all(name.endswith(".npy") for name in members)
    secret = np.float64(SECRET / 1e5)
    for content in members.values():
        assert secret.tobytes() not in content
        assert repr(float(secret)).encode() not in content
        assert len(content) < 10_000
    with np.load(path, allow_pickle=False) as file:  # raises for objects
        arrays = {name: file[name] for name in file.files}
    assert all(a.dtype.kind in "biufU" for a in arrays.values())
    assert max(a.size for name, a in arrays.items() if name != "json") <= 9
    assert json.loads(bytes(arrays["json"]))["format"] == 1


def test_the_path_is_taken_as_it_is_and_a_file_is_replaced(tmp_path, monkeypatch):
    a, b = fit(NORMAL, {"y": [1.0, 2.0, 4.0]}), fit(NORMAL, {"y": [1.0, 2.0, 9.0]})
    for path in (tmp_path / "no suffix", str(tmp_path / "two.words.model"), tmp_path / "ünï.npz"):
        a.save(path)
        b.save(path)
        assert jm.load(path).coef == b.coef
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["no suffix", "two.words.model", "ünï.npz"])
    monkeypatch.chdir(tmp_path)
    a.save("here.npz")
    assert jm.load("here.npz").coef == a.coef


def test_a_new_file_may_be_read_by_whom_the_umask_lets(tmp_path):
    mask = os.umask(0o022)
    try:
        fit(NORMAL, {"y": [1.0, 2.0, 4.0]}).save(tmp_path / "fit.npz")
    finally:
        os.umask(mask)
    assert (tmp_path / "fit.npz").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("when", ["np.savez_compressed", "os.fsync", "os.replace"])
def test_an_interrupted_save_leaves_the_old_file(when, tmp_path, monkeypatch):
    path = tmp_path / "fit.npz"
    old, new = fit(NORMAL, {"y": [1.0, 2.0, 4.0]}), fit(NORMAL, {"y": [1.0, 2.0, 9.0]})
    old.save(path)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    module, name = when.split(".")
    monkeypatch.setattr({"np": np, "os": os}[module], name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        new.save(path)
    monkeypatch.undo()
    assert jm.load(path).coef == old.coef
    assert [p.name for p in tmp_path.iterdir()] == ["fit.npz"]


# --- files that are no fits -------------------------------------------------------------------------------------------


def saved(tmp_path):
    path = tmp_path / "fit.npz"
    fit(NORMAL, {"y": [1.0, 2.0, 4.0]}).save(path)
    return path


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("estimates: 3.0")


def truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damaged(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 20] = bytes(20)
    path.write_bytes(bytes(content))


def other_arrays(path):
    np.savez(path, x=np.ones(3))


def one_array(path):
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def a_pickle(path):
    with path.open("wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def pickled_member(path):
    np.savez(path, json=np.array([{"format": 1}], dtype=object))


def other_json(path):
    np.savez(path, json=np.frombuffer(b'["a", 1]', np.uint8))


def other_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def without_an_array(path):
    with np.load(path) as file:
        np.savez(path, json=file["json"])


def without_a_field(path):
    rewrite(path, lambda content: content["fit"]["fields"].pop("names"))


def of_unknown_type(path):
    rewrite(path, lambda content: content["fit"].update(type="Popen"))


def rewrite(path, change):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    content = json.loads(bytes(arrays["json"]))
    change(content)
    np.savez(path, **arrays | {"json": np.frombuffer(json.dumps(content).encode(), np.uint8)})


@pytest.mark.parametrize(
    "spoil",
    [empty, text, truncated, half, damaged, other_arrays, one_array, a_pickle, pickled_member, other_json, other_zip,
     without_an_array, without_a_field, of_unknown_type],
)  # fmt: skip
def test_a_file_that_is_no_fit_is_refused_in_one_sentence(spoil, tmp_path):
    path = saved(tmp_path)
    spoil(path)
    with pytest.raises(jm.DataError, match="is not a fit saved by jaxmle, or is damaged") as caught:
        jm.load(path)
    assert str(path) in str(caught.value)


def test_a_directory_and_a_missing_file_are_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        jm.load(tmp_path / "nowhere.npz")
    with pytest.raises(jm.DataError, match="is a directory"):
        jm.load(tmp_path)
    result = fit(NORMAL, {"y": [1.0, 2.0, 4.0]})
    with pytest.raises(jm.DataError, match="is a directory"):
        result.save(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        result.save(tmp_path / "nowhere" / "fit.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_later_format_asks_for_an_upgrade(tmp_path):
    path = saved(tmp_path)
    rewrite(path, lambda content: content.update(format=2))
    with pytest.raises(jm.DataError, match=r"fit\.npz has format 2.*upgrade"):
        jm.load(path)


# --- what a loaded fit can do -----------------------------------------------------------------------------------------


def test_with_its_model_a_loaded_fit_knows_the_density_of_new_rows(tmp_path):
    for name in ("poisson", "weighted, one coefficient held"):
        result = CASES[name]()
        result.save(tmp_path / "fit.npz")
        loaded = jm.load(tmp_path / "fit.npz", model=POISSON)
        new = {k: v[:7] for k, v in counts(seed=5).items()}
        np.testing.assert_array_equal(loaded.log_density(new), result.log_density(new))
        rate = np.exp(np.stack([np.ones(7), new["x"], new["z"]], axis=1) @ loaded.params["rate"])
        np.testing.assert_allclose(loaded.log_density(new), new["y"] * np.log(rate) - rate, rtol=1e-12)
    with pytest.raises(jm.ModelError, match=r"jm\.load\(path, model=model\)"):
        jm.load(tmp_path / "fit.npz").log_density(new)


def test_what_a_formula_has_learnt_is_kept_for_a_density_of_ones_own(tmp_path):
    """Levels, knots, means: learnt anew from the rows of a prediction they would be others."""
    rng = np.random.default_rng(0)
    data = {"x": rng.uniform(0, 10, 200), "g": rng.choice(["a", "b", "c"], 200)}
    data["y"] = rng.poisson(np.exp(0.1 * data["x"] + (data["g"] == "b")))

    def density(p, row):
        return row["y"] * jnp.log(p["rate"]) - p["rate"] - jm.numerics.log_factorial(row["y"])

    new = {"x": [1.0, 9.0], "g": ["b", "c"], "y": [1, 2]}
    for formula in ("~ scale(x)", "~ poly(x, 2) + C(g)", "~ bs(x, df=4)"):
        model = jm.Model(density, {"rate": jm.Linear(formula, link="log")})
        result = fit(model, data)
        result.save(tmp_path / "fit")
        loaded = jm.load(tmp_path / "fit", model=model)
        np.testing.assert_allclose(loaded.log_density(new), result.log_density(new), rtol=1e-12)
    model = jm.Model(density, {"rate": jm.Linear("~ C(g)", link="log")})
    fit(model, data).save(tmp_path / "fit")
    with pytest.raises(jm.DataError, match="level 'd'"):
        jm.load(tmp_path / "fit", model=model).log_density({"g": ["b", "d"], "y": [1, 2]})
    own = jm.Linear("~ half(x)", link="log", functions={"half": lambda x: x / 2})
    fit(jm.Model(density, {"rate": own}), data).save(tmp_path / "fit")
    with pytest.raises(jm.ModelError, match=r"What the formula of 'rate' learnt.*not saved"):
        jm.load(tmp_path / "fit", model=jm.Model(density, {"rate": own}))


def test_a_familys_model_is_the_one_in_the_file(tmp_path):
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=60), "g": rng.choice(["a", "b", "c"], 60)}
    result = fit(jm.categorical("g ~ poly(x, 2)"), data)
    result.save(tmp_path / "fit")
    loaded = jm.load(tmp_path / "fit", model=jm.categorical("g ~ poly(x, 2)"))
    new = {"x": [0.3, 1.0]}
    np.testing.assert_array_equal(loaded.predict(new, "prob"), result.predict(new, "prob"))
    assert loaded.marginal_effects("x", data=new).estimates == result.marginal_effects("x", data=new).estimates
    with pytest.raises(jm.ModelError, match=r"is a fit of '.*poly\(x, 2\).*but the model is '.*g ~ x'"):
        jm.load(tmp_path / "fit", model=jm.categorical("g ~ x"))


@pytest.mark.parametrize("arguments", [{"kind": "HC0"}, {"kind": "opg"}, {"cluster": "group"}, {"kind": "sandwich"}])
def test_other_covariances_need_the_data(arguments, tmp_path):
    path = tmp_path / "fit.npz"
    fit(POISSON, DATA).save(path)
    with pytest.raises(jm.ModelError, match="needs the data, which a loaded fit does not have"):
        jm.load(path).covariance(**arguments)
    with pytest.raises(jm.ModelError, match="no covariance of kind 'HC9'"):
        jm.load(path).covariance("HC9")


def test_the_kind_that_was_saved_may_be_named(tmp_path):
    path = tmp_path / "fit.npz"
    result = fit(POISSON, DATA)
    result.save(path)
    np.testing.assert_array_equal(jm.load(path).covariance("observed"), result.covariance("observed"))


def test_a_loaded_fit_starts_another(tmp_path):
    path = tmp_path / "fit.npz"
    result = fit(POISSON, DATA)
    result.save(path)
    again = fit(POISSON, DATA, start=jm.load(path).params)
    assert again.n_steps <= 1 < result.n_steps
    np.testing.assert_allclose(array(again.coef), array(result.coef), rtol=1e-9)


def test_a_loaded_fit_cannot_draw_what_needs_data(tmp_path):
    path = saved(tmp_path)
    with pytest.raises(jm.ModelError, match="loaded fit"):
        jm.load(path).plot("mu")


def test_a_wrong_model_beside_a_saved_fit_is_refused(tmp_path):
    path = tmp_path / "fit.npz"
    fit(POISSON, DATA).save(path)
    with pytest.raises(jm.ModelError, match="rate"):
        jm.load(path, model=NORMAL)
    with pytest.raises(jm.ModelError, match="Model"):
        jm.load(path, model="poisson")
