"""Labels, choices and several responses at once: tails, fits against closed forms and SciPy, what is refused."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import scipy.stats

import jaxmle as jm
from jaxmle import runtime
from jaxmle.declare.catalogue import bernoulli
from jaxmle.declare.choices.categorical import categorical, labels_of
from jaxmle.declare.choices.conditional import conditional_logit
from jaxmle.declare.choices.ordinal import ordinal
from jaxmle.declare.combinators.inflated import zero_inflated
from jaxmle.declare.distributions.dirichlet import Dirichlet
from jaxmle.declare.distributions.labelled import ORDERED, Categorical
from jaxmle.declare.distributions.multivariate_normal import MultivariateNormal
from jaxmle.declare.joint import dirichlet, multivariate_normal


def fit(model, data, **arguments):
    found = jm.fit(model, data, progress=False, **arguments)
    assert found.converged
    return found


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    logits = np.stack([np.zeros(500), 0.3 + x, -0.5 - 0.7 * x])
    label = (logits + rng.gumbel(size=logits.shape)).argmax(axis=0)
    return {"y": np.array(["b", "a", "c"])[label], "x": x, "number": label.astype(float), "late": label > 1}


# --- distributions ----------------------------------------------------------------------------------------------------

F = {
    "logit": lambda z: 1 / (1 + mp.exp(-z)),
    "probit": lambda z: mp.erfc(-z / mp.sqrt(2)) / 2,
    "cloglog": lambda z: -mp.expm1(-mp.exp(z)),
}


@pytest.mark.parametrize("link", list(ORDERED))
def test_ordered_labels_keep_their_derivatives_in_the_tails(link):
    kind = ORDERED[link]

    def log_prob(at, y):
        return kind(cutpoints=at[:2], location=at[2]).log_prob(y)

    def everything(at, y):
        g = jax.grad(log_prob)
        return jnp.concatenate([log_prob(at, y)[None], g(at, y), jax.jacfwd(g)(at, y).ravel()])

    compiled = jax.jit(everything)
    orders = [tuple(int(i == j) for i in range(3)) for j in range(3)]
    orders += [tuple(a + b for a, b in zip(p, q)) for p in orders for q in orders]
    for location in (0.2, 3.0, 15.0) if link == "cloglog" else (0.2, 9.0, -15.0):
        for y in range(3):

            def exact(a, b, at, y=y):
                ends = {0: F[link](a - at), 2: 1 - F[link](b - at)}
                return mp.log(ends.get(y, F[link](b - at) - F[link](a - at)))

            with mp.workdps(250):
                point = tuple(mp.mpf(v) for v in (-0.5, 1.5, location))
                step = mp.mpf(10) ** -40
                want = [float(exact(*point))] + [float(mp.diff(exact, point, o, h=step)) for o in orders]
            with runtime.x64():
                got = np.asarray(compiled(jnp.array([-0.5, 1.5, location]), float(y)))
            np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-12, err_msg=f"{location} {y}")


@pytest.mark.parametrize("kind", [Categorical, *ORDERED.values()])
def test_probabilities_of_labels_agree_with_everything_else(kind):
    def everything(values, keys):
        d = kind(values) if kind is Categorical else kind(cutpoints=values, location=0.3)
        y = jnp.arange(4.0)
        tails = jax.vmap(d.log_cdf)(y), jax.vmap(d.log_survival)(y)
        return d.probabilities(), jax.vmap(d.log_prob)(y), *tails, d.quantile(0.6), jax.vmap(d.sample)(keys)

    with runtime.x64():
        out = jax.jit(everything)(jnp.array([-1.0, 0.4, 1.1]), jax.random.split(jax.random.key(0), 4000))
        p, log_p, low, high, median, draws = (np.asarray(x) for x in out)
    assert p.sum() == pytest.approx(1.0, rel=1e-12)
    np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-12)
    np.testing.assert_allclose(np.exp(low), np.cumsum(p), rtol=1e-12)
    np.testing.assert_allclose(np.exp(high), 1 - np.cumsum(p), atol=1e-12)
    assert median == np.searchsorted(np.cumsum(p), 0.6)
    np.testing.assert_allclose(np.bincount(draws.astype(int)) / 4000, p, atol=0.04)


def test_densities_of_several_numbers_are_those_of_scipy():
    mean, shares = np.array([1.0, -2.0]), np.array([0.2, 0.5, 0.3])
    covariance, y = np.array([[2.0, 0.9], [0.9, 1.0]]), np.array([0.4, -3.0])

    def both(keys):
        joint = MultivariateNormal(mean=jnp.array(mean), covariance=jnp.array(covariance))
        parts = Dirichlet(mean=jnp.array(shares), precision=7.0)
        draws = jax.vmap(joint.sample)(keys), jax.vmap(parts.sample)(keys)
        return joint.log_prob(y), parts.log_prob(jnp.array([0.1, 0.6, 0.3])), parts.variance(), *draws

    with runtime.x64():
        out = jax.jit(both)(jax.random.split(jax.random.key(0), 20_000))
        normal, composition, variance, drawn, split = (np.asarray(x) for x in out)
    assert normal == pytest.approx(scipy.stats.multivariate_normal(mean, covariance).logpdf(y), rel=1e-12)
    law = scipy.stats.dirichlet(7.0 * shares)
    assert composition == pytest.approx(law.logpdf([0.1, 0.6, 0.3]), rel=1e-12)
    np.testing.assert_allclose(np.diag(variance), law.var(), rtol=1e-12)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.1)
    np.testing.assert_allclose(np.cov(split.T), variance, atol=0.002)


# --- fits -------------------------------------------------------------------------------------------------------------


def test_two_labels_are_a_logistic_regression(answers):
    one = fit(bernoulli("late ~ x"), answers)
    two = fit(categorical("late ~ x"), answers)
    ordered = fit(ordinal("late ~ x"), answers)
    assert two.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-12)
    assert two.coef["logits.True[x]"] == pytest.approx(one.coef["prob[x]"], rel=1e-7)
    assert ordered.coef["location[x]"] == pytest.approx(one.coef["prob[x]"], rel=1e-7)
    assert ordered.coef["cutpoints[0]"] == pytest.approx(-one.coef["prob[Intercept]"], rel=1e-6)


def test_shares_of_labels_are_their_frequencies(answers):
    share = np.array([(answers["y"] == label).mean() for label in "abc"])
    labels = fit(categorical("y"), answers)
    assert list(labels.coef) == ["logits.b", "logits.c"]
    np.testing.assert_allclose(list(labels.coef.values()), np.log(share[1:] / share[0]), rtol=1e-7)
    ordered = fit(ordinal("y ~ 1", link="probit"), answers)
    assert list(ordered.coef) == ["cutpoints[0]", "cutpoints[1]"]
    np.testing.assert_allclose(list(ordered.coef.values()), scipy.stats.norm.ppf(np.cumsum(share)[:2]), rtol=1e-7)
    for found in (labels, ordered):
        assert found.log_likelihood == pytest.approx(500 * (share * np.log(share)).sum(), rel=1e-10)


def test_the_reference_is_a_choice_of_words(answers):
    first = fit(categorical("y ~ x"), answers)
    other = fit(categorical("y ~ x", reference="c"), answers)
    assert other.log_likelihood == pytest.approx(first.log_likelihood, rel=1e-12)
    assert other.coef["logits.a[x]"] == pytest.approx(-first.coef["logits.c[x]"], rel=1e-7)
    new = {"x": np.array([0.0, 2.0])}
    p, q = first.predict(new, what="prob"), other.predict(new, what="prob")
    np.testing.assert_allclose(q, p[:, [2, 0, 1]], rtol=1e-7)
    assert first.predict(new, what="label").tolist() == ["a", "a"]


def test_new_data_are_read_with_the_levels_of_the_fit(answers):
    found = fit(categorical("y ~ x"), answers)
    some = {k: v[answers["y"] != "a"][:5] for k, v in answers.items()}
    again = found.log_density(some)
    p = found.predict(some, what="prob")
    want = [np.log(p[i, "abc".index(label)]) for i, label in enumerate(some["y"])]
    np.testing.assert_allclose(again, want, rtol=1e-9)
    with pytest.raises(jm.DataError, match="'d'"):
        found.log_density(some | {"y": np.array(["b", "c", "d", "b", "c"])})


def test_the_order_of_categories_is_kept():
    pandas = pytest.importorskip("pandas", reason="pandas is an extra")
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    code = np.digitize(x + rng.logistic(size=400), [-1.0, 1.0])
    words = np.array(["low", "middle", "high"])
    frame = pandas.DataFrame({"y": pandas.Categorical(words[code], categories=words, ordered=True), "x": x})
    frame["g"] = np.array(["r", "s", "t"])[rng.integers(0, 3, 400)]
    found = fit(ordinal("y ~ x + g"), frame)
    assert "location[x]" in found.coef
    assert len(found.coef) == 5  # x, two levels of g, two cutpoints
    assert found.coef["location[x]"] == pytest.approx(1.0, abs=0.4)
    assert found.predict(frame[:3], what="prob").shape == (3, 3)


def test_a_choice_between_two_is_a_logistic_regression_of_differences():
    rng = np.random.default_rng(2)
    cost, wait = rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
    difference = 0.8 * (cost[:, 1] - cost[:, 0]) - 0.5 * (wait[:, 1] - wait[:, 0])
    second = rng.random(300) < 1 / (1 + np.exp(-difference))
    long = {
        "person": np.repeat(np.arange(300), 2),
        "chosen": np.stack([~second, second], axis=1).ravel(),
        "cost": cost.ravel(),
        "wait": wait.ravel(),
    }
    found = fit(conditional_logit("chosen ~ cost + wait", group="person"), long)
    wide = {"y": second, "cost": cost[:, 1] - cost[:, 0], "wait": wait[:, 1] - wait[:, 0]}
    same = fit(bernoulli("y", prob=jm.Linear(["cost", "wait"], link="logit")), wide)
    assert found.log_likelihood == pytest.approx(same.log_likelihood, rel=1e-12)
    for name in ("cost", "wait"):
        assert found.coef[f"utility[{name}]"] == pytest.approx(same.coef[f"prob[{name}]"], rel=1e-7)
        assert found.std_errors[f"utility[{name}]"] == pytest.approx(same.std_errors[f"prob[{name}]"], rel=1e-6)


def test_several_normals_have_the_moments_of_the_data():
    rng = np.random.default_rng(3)
    x = rng.normal(size=300)
    a, b = 1 + 2 * x + rng.normal(size=300), -x + 0.5 * rng.normal(size=300)
    found = fit(multivariate_normal(["a", "b"]), {"a": a, "b": b})
    assert list(found.coef) == ["mean[0]", "mean[1]", "covariance[0,0]", "covariance[0,1]", "covariance[1,1]"]
    np.testing.assert_allclose(found.params["covariance"], np.cov(a, b, ddof=0), rtol=1e-7)
    lines = fit(multivariate_normal(["a", "b"], mean="~ x"), {"a": a, "b": b, "x": x})
    np.testing.assert_allclose(lines.coef["mean[x,0]"], np.polyfit(x, a, 1)[0], rtol=1e-7)


def test_dirichlet_regression_against_its_constant():
    rng = np.random.default_rng(4)
    y = rng.dirichlet([2.0, 5.0, 3.0], 200)
    data = dict(zip("abc", y.T)) | {"x": rng.normal(size=200)}
    constant = fit(dirichlet(["a", "b", "c"]), data)
    assert list(constant.coef) == ["mean[0]", "mean[1]", "mean[2]", "precision"]
    same = fit(dirichlet(["a", "b", "c"], mean="~ 1"), data)
    assert same.log_likelihood == pytest.approx(constant.log_likelihood, rel=1e-12)
    ratio = np.log(constant.coef["mean[2]"] / constant.coef["mean[0]"])
    assert same.coef["mean.2[Intercept]"] == pytest.approx(ratio, rel=1e-6)


# --- what cannot be -----------------------------------------------------------------------------------------------------

THREE = {"y": np.array(["a", "b", "c", "a"]), "x": np.array([1.0, 2, 3, 5]), "g": np.array([1, 1, 2, 2])}
CHOSEN = {
    "y": np.array([1, 0, 0, 1]),
    "g": np.array([1, 1, 2, 2]),
    "x": np.array([1.0, 2, 3, 5]),
    "z": np.array([1, 1, 0, 0]),
}

REFUSED = [
    (categorical("y"), {"y": np.array(["a", "a"])}, "one label, 'a'"),
    (categorical("y", reference="d"), THREE, "reference='d' is not a label"),
    (ordinal("y"), {"y": np.array(["a", "a"])}, "one label, 'a'"),
    (
        conditional_logit("y ~ x", group="g"),
        CHOSEN | {"y": np.array([1, 1, 0, 1])},
        r"exactly one row .* 1 \(2 chosen\)",
    ),
    (conditional_logit("y ~ x + z", group="g"), CHOSEN, "Term 'z' of 'utility' is the same"),
    (conditional_logit("y ~ x", group="x"), CHOSEN | {"y": np.ones(4)}, "Every row is a group"),
    (dirichlet(["a", "b"]), {"a": np.array([0.2, 0.5]), "b": np.array([0.8, 0.6])}, "add up to one in row 1"),
    (dirichlet(["a", "b"]), {"a": np.array([0.2, 0.0]), "b": np.array([0.8, 1.0])}, "positive shares .* row 1"),
    (multivariate_normal(["a", "b"]), {"a": np.arange(4.0), "b": 2 * np.arange(4.0)}, "depend on each other"),
]


@pytest.mark.parametrize(("model", "data", "words"), REFUSED, ids=range(len(REFUSED)))
def test_data_that_cannot_be_fitted_are_refused(model, data, words):
    with pytest.raises(jm.DataError, match=words):
        jm.fit(model, data, progress=False)


MISUSE = [
    (lambda: categorical(["a", "b"]), "one response"),
    (lambda: categorical("y ~ x", logits="~ z"), "give one of them"),
    (lambda: categorical("y", logits=jm.Linear("~ x", link="log")), "leave out the link"),
    (lambda: ordinal("y ~ x", link="cauchit"), "'logit', 'probit', 'cloglog'"),
    (lambda: ordinal("y", location=jm.Positive()), "takes a formula"),
    (lambda: ordinal("y", cutpoints=3.0), "a jm.Ordered"),
    (lambda: jm.fit(ordinal("y", cutpoints=jm.Ordered(3)), THREE), "2 cutpoints between them"),
    (lambda: conditional_logit("y", group="g"), "terms that differ within a group"),
    (lambda: conditional_logit("y ~ x", group=3), "the name of a column"),
    (lambda: dirichlet(["a"]), "two or more"),
    (lambda: dirichlet("a ~ x"), "two or more"),
    (lambda: dirichlet(["a", "b"], mean=jm.Real()), "shares that sum to one"),
    (lambda: multivariate_normal(["a", "b"], covariance=jm.Covariance(3)), "2×2 covariance"),
    (lambda: zero_inflated(categorical("y")), "one number in each row"),
    (lambda: zero_inflated(conditional_logit("y ~ x", group="g")), "the last step"),
]


@pytest.mark.parametrize(("make", "words"), MISUSE, ids=range(len(MISUSE)))
def test_declarations_that_make_no_sense_are_refused(make, words):
    with pytest.raises(jm.ModelError, match=words):
        make()


def test_labels_become_names():
    assert labels_of((1.0, 2.5, "a,b", "a[b", True)) == ("1", "2.5", "a_b", "a_b'", "True")
