"""A network reads handwritten digits: its cross-entropy is a log-likelihood, and its weights are one parameter."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxmle as jm

from .stage import Numbers, draw, handwritten, label, say

FILTERS, HIDDEN, EPOCHS, HELD_OUT = 16, 64, 40, 360

Images = dict[str, np.ndarray]


def images() -> tuple[Images, Images]:
    """The images (n, 8, 8), darkness from 0 to 1, with their digits (n,): those to learn from, and those to be tested on."""
    seen = lambda part: {"image": (part["pixels"].reshape(-1, 8, 8) / 16).astype(np.float32), "digit": part["digit"]}
    train, test = handwritten(HELD_OUT)
    return seen(train), seen(test)


def weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Where the search begins: nine pixels to each filter, a hidden layer, ten digits (He et al., 2015)."""
    normal = lambda inputs, outputs: rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs))
    return {
        "filters": normal(9, FILTERS),
        "filters_bias": np.zeros(FILTERS),
        "hidden": normal(16 * FILTERS, HIDDEN),
        "hidden_bias": np.zeros(HIDDEN),
        "out": normal(HIDDEN, 10),
        "out_bias": np.zeros(10),
    }


def logits(net: Any, image: Any) -> Any:
    """Of ONE image, the ten digits' logits: a convolution, means of four neighbours, a hidden layer."""
    around = jnp.pad(image, 1)
    patches = jnp.stack([around[i : i + 8, j : j + 8] for i in range(3) for j in range(3)], axis=-1)
    seen = jax.nn.relu(patches @ net["filters"] + net["filters_bias"])
    pooled = seen.reshape(4, 2, 4, 2, FILTERS).mean(axis=(1, 3)).reshape(-1)
    return jax.nn.relu(pooled @ net["hidden"] + net["hidden_bias"]) @ net["out"] + net["out_bias"]


def cross_entropy(p: Any, row: Any) -> Any:
    """The log-density of ONE image's digit."""
    return jax.nn.log_softmax(logits(p["net"], row["image"]))[row["digit"]]


def fit_network(train: Images) -> jm.Fit:
    """Adam in single precision, a tenth of the images held out to say when to stop."""
    model = jm.Model(cross_entropy, {"net": jm.Tree(weights(np.random.default_rng(0)))})
    solver = jm.Minibatch(
        optax.adam(optax.cosine_decay_schedule(3e-3, EPOCHS * 21)),
        batch=64,
        epochs=EPOCHS,
        validation=0.1,
        patience=10,
        precision="float32",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jm.FitWarning)  # that no optimum is proved is in the certificate, and printed
        return jm.fit(model, train, solver=solver)


def probabilities(fit: jm.Fit, image: np.ndarray) -> np.ndarray:
    """What the network says of images (n, 8, 8): the probability of each digit, (n, 10)."""
    net = jax.tree.map(lambda x: x.astype(np.float32), fit.params["net"])
    read = jax.jit(jax.vmap(lambda net, x: jax.nn.softmax(logits(net, x)), (None, 0)))
    return np.asarray(read(net, image), float)


def run(picture: Path) -> bool:
    """Fit, print, compare, draw; whether the network reads images that it has not seen."""
    train, test = images()
    say(
        f"A convolutional network learns {len(train['digit']):,} images of handwritten digits, and reads {HELD_OUT} others\n"
    )
    fit = fit_network(train)
    say(f"{fit}\n")
    p = probabilities(fit, test["image"])
    right = p.argmax(axis=1) == test["digit"]
    density = np.log(p[np.arange(HELD_OUT), test["digit"]])
    learnt = probabilities(fit, train["image"])[np.arange(len(train["digit"])), train["digit"]]
    numbers = Numbers()
    numbers.compare("images read right, of those not seen before", right.mean(), 0.98, 0.02)
    numbers.compare("chance given to the digit read, on average", p.max(axis=1).mean(), right.mean(), 0.03)
    numbers.compare("log-likelihood of an image not seen before", density.mean(), -0.08, 0.06)
    numbers.compare("log-likelihood of the fit, and summed by hand", fit.log_likelihood, np.log(learnt).sum(), 0.01)
    say()
    draw(picture, 2, partial(_paint, test, p))
    return numbers.hold


def _paint(test: Images, p: np.ndarray, left: Any, right: Any) -> None:
    table = np.zeros((10, 10), int)
    np.add.at(table, (test["digit"], p.argmax(axis=1)), 1)
    left.imshow(np.where(table > 0, np.log1p(table), np.nan), cmap="Blues")
    for (i, j), n in np.ndenumerate(table):
        if n:
            left.text(j, i, str(n), ha="center", va="center", fontsize="small", color="white" if n > 9 else "black")
    left.set_xticks(range(10))
    left.set_yticks(range(10))
    label(left, f"{HELD_OUT} images not seen before", "read as", "is")
    surprise = np.argsort(p[np.arange(HELD_OUT), test["digit"]])[:12]
    sheet = np.full((3 * 10, 4 * 10), np.nan)
    for k, i in enumerate(surprise):
        y, x = 10 * (k // 4), 10 * (k % 4)
        sheet[y + 1 : y + 9, x + 1 : x + 9] = test["image"][i]
        words = f"{test['digit'][i]} read as {p[i].argmax()}, {p[i].max():.0%}"
        right.text(x + 4.5, y + 9.4, words, ha="center", va="center", fontsize="x-small")
    right.imshow(sheet, cmap="Greys", vmin=0, vmax=1)
    right.set_xticks([])
    right.set_yticks([])
    right.spines[:].set_visible(False)
    label(right, "Those that surprise the network most", "")
