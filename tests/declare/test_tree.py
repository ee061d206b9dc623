"""Trees that are modules of neural networks: their arrays are parameters, the rest is kept, the density gets them back."""

import importlib
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxmle as jm
from jaxmle.declare.tree import Module, Tree, opened

rng = np.random.default_rng(8)
X = rng.standard_normal((60, 2))
Y = np.tanh(X @ [1.0, -0.5]) + 0.1 * rng.standard_normal(60)
DATA = {"x": X, "y": Y}


@jax.tree_util.register_pytree_with_keys_class
@dataclass
class Layer:
    """A module as the libraries write them: arrays, a function and a number that is a setting."""

    weight: object
    bias: object
    activation: object
    rate: object = 0.5

    def tree_flatten_with_keys(self):
        return [(jax.tree_util.GetAttrKey(k), v) for k, v in vars(self).items()], None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        return cls(*leaves)

    def __call__(self, x):
        return self.activation(self.weight @ x + self.bias) * (1 + self.rate)


def layers(activation=jax.nn.tanh):
    return [Layer(np.array([[0.5, -0.2]]), np.array([0.1]), activation)]


def regression(p, row):
    return -0.5 * ((row["y"] - p["module"][0](row["x"])[0]) / p["noise"]) ** 2 - jnp.log(p["noise"])


def test_arrays_are_parameters_and_the_rest_is_kept():
    tree = Tree(layers())
    assert tree.size == 3
    assert tree.labels() == ("[0].weight[0,0]", "[0].weight[0,1]", "[0].bias[0]")
    inside = tree.constrain(np.arange(3.0))
    assert isinstance(inside, Module)
    assert [x.shape for x in jax.tree.leaves(inside)] == [(1, 2), (1,)]  # arrays alone go through programs
    (module,) = inside.whole
    assert module.activation is jax.nn.tanh
    assert module.rate == 0.5
    np.testing.assert_array_equal(module.weight, [[0.0, 1.0]])
    np.testing.assert_array_equal(tree.unconstrain([module]), np.arange(3.0))
    np.testing.assert_array_equal(tree.unconstrain(tree.default()), [0.5, -0.2, 0.1])
    assert opened({"a": inside, "b": 1.0})["b"] == 1.0


def test_trees_are_alike_if_what_they_keep_is():
    assert Tree(layers()) == Tree(layers())
    assert hash(Tree(layers())) == hash(Tree(layers()))
    assert Tree(layers()) != Tree(layers(jax.nn.relu))
    unhashable = [Layer(np.ones(1), np.ones(1), jnp.sin, rate=[[1.0], "a"])]
    assert Tree(unhashable).size == 2


def test_start_and_mistakes():
    other = [Layer(np.zeros((1, 2)), np.ones(1), jax.nn.tanh)]
    np.testing.assert_array_equal(Tree(layers(), start=other).start.arrays[1], [1.0])
    with pytest.raises(jm.ModelError, match=r"start of Tree\[0\].bias: got an array of shape \(2,\)"):
        Tree(layers(), start=[Layer(np.zeros((1, 2)), np.ones(2), jax.nn.tanh)])
    with pytest.raises(jm.ModelError, match="at least one array of floats"):
        Tree([jnp.tanh])
    with pytest.raises(jm.ModelError, match=r"Tree leaf \[0\].weight: got type int64"):
        Tree([Layer(np.arange(3), np.ones(1), jnp.tanh)])


@pytest.mark.filterwarnings("ignore::jaxmle.FitWarning")
def test_a_module_is_fitted_like_its_arrays(tmp_path):
    """The same network as a dict of arrays has the same optimum; the density, a prior and a function get the module."""
    as_arrays = lambda p, row: regression({"module": [Layer(p["w"], p["b"], jnp.tanh)], "noise": p["noise"]}, row)
    plain = jm.fit(
        jm.Model(as_arrays, {"w": jm.Real(shape=(1, 2)), "b": jm.Real(shape=1), "noise": jm.Positive()}), DATA
    )
    model = jm.Model(regression, {"module": Tree(layers()), "noise": jm.Positive()})
    fit = jm.fit(model, DATA)
    assert fit.converged
    np.testing.assert_allclose(list(fit.coef.values()), list(plain.coef.values()), rtol=1e-6)
    np.testing.assert_allclose(list(fit.std_errors.values()), list(plain.std_errors.values()), rtol=1e-4)
    (module,) = fit.params["module"]
    assert module.activation is jax.nn.tanh
    at_zero = fit.transform(lambda p: p["module"][0](jnp.zeros(2))[0])
    np.testing.assert_allclose(at_zero.estimate, module(np.zeros(2))[0], rtol=1e-12)
    again = jm.fit(model, DATA, start=fit.params)
    np.testing.assert_allclose(again.log_likelihood, fit.log_likelihood, rtol=1e-12)
    ridge = jm.fit(model, DATA, penalty=lambda p: jnp.sum(p["module"][0].weight ** 2))
    assert np.linalg.norm(ridge.params["module"][0].weight) < np.linalg.norm(module.weight)
    held = jm.fit(model, DATA, fixed={"module": fit.params["module"]})
    np.testing.assert_allclose(held.coef["noise"], fit.coef["noise"], rtol=1e-6)
    quick = jm.fit(model, DATA, solver=jm.Minibatch(optax.adam(0.05), batch=20, epochs=20))
    assert fit.log_likelihood - quick.log_likelihood < 10
    fit.save(tmp_path / "fit.npz")
    np.testing.assert_array_equal(jm.load(tmp_path / "fit.npz").params["module"][0][".weight"], module.weight)


@pytest.mark.filterwarnings("ignore::jaxmle.FitWarning")
def test_a_module_of_equinox_is_taken_as_it_is():
    eqx = pytest.importorskip("equinox", reason="equinox is not installed; jaxmle needs nothing of it")
    net = eqx.nn.MLP(2, "scalar", width_size=150, depth=1, activation=jnp.tanh, key=jax.random.key(0))
    density = lambda p, row: -0.5 * (row["y"] - p["equinox"](row["x"])) ** 2
    fit = jm.fit(jm.Model(density, {"equinox": jm.Tree(net)}), DATA, solver=jm.Minibatch(optax.adam(0.01), epochs=60))
    fitted = fit.params["equinox"]
    assert type(fitted) is type(net)
    assert next(iter(fit.coef)) == "equinox.layers[0].weight[0,0]"
    residual = Y - np.array([fitted(x) for x in X])
    np.testing.assert_allclose(fit.log_likelihood, -0.5 * residual @ residual, rtol=1e-6)
    assert fit.log_likelihood > -0.5 * 60 * 0.2**2 - 2


def test_parameters_of_flax_are_dicts():
    """What `linen.Module.init` gives: {"params": {"Dense_0": {"kernel": ..., "bias": ...}}}."""
    variables = {"params": {"Dense_0": {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}}
    assert Tree(variables).labels()[0] == "['params']['Dense_0']['bias'][0]"


def test_modules_of_flax_are_taken_as_they_are():
    """A dense layer of linen is least squares; a module of nnx keeps its type."""
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed; jaxmle needs nothing of it")
    linen = importlib.import_module("flax.linen")
    layer = linen.Dense(1)
    density = lambda p, row: -0.5 * (row["y"] - layer.apply(p["linen"], row["x"])[0]) ** 2
    fit = jm.fit(jm.Model(density, {"linen": jm.Tree(layer.init(jax.random.key(0), X[0]))}), DATA)
    expected = np.linalg.lstsq(np.column_stack([np.ones(len(Y)), X]), Y, rcond=None)[0]
    np.testing.assert_allclose(list(fit.coef.values()), expected, atol=1e-8)
    density = lambda p, row: -0.5 * (row["y"] - p["nnx"](row["x"])[0]) ** 2
    model = jm.Model(density, {"nnx": jm.Tree(nnx.Linear(2, 1, rngs=nnx.Rngs(0)))})
    found = jm.fit(model, DATA).params["nnx"]
    assert type(found) is nnx.Linear
    np.testing.assert_allclose(found(X)[:, 0], np.column_stack([np.ones(len(Y)), X]) @ expected, atol=1e-8)
