"""A network draws digits pixel by pixel: an image generator whose every image has an exact probability."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxmle as jm

from ..datasets import load

PIXELS, LEVELS, HIDDEN, HELD_OUT, EPOCHS = 64, 17, 256, 360, 60

Images = dict[str, np.ndarray]


def images() -> tuple[Images, Images]:
    """The images (n, 64), darkness from 0 to 16, with their digits (n,): those to learn from, and those held back."""
    data = load("digits")
    pixels = np.stack([data[f"pixel{i}"] for i in range(PIXELS)], axis=1).astype(int)
    whole = {"pixels": pixels, "digit": data["digit"].astype(int)}
    order = np.random.default_rng(0).permutation(len(pixels))
    return {k: v[order[HELD_OUT:]] for k, v in whole.items()}, {k: v[order[:HELD_OUT]] for k, v in whole.items()}


def masks() -> tuple[np.ndarray, np.ndarray]:
    """Which pixels a hidden number may see, and which hidden numbers a pixel: those of earlier pixels alone."""
    last = np.arange(HIDDEN) % (PIXELS - 1)
    sees = np.arange(PIXELS)[:, None] <= last
    shown = last[:, None] < np.arange(PIXELS)
    return sees.astype(np.float32), shown.astype(np.float32)


def weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Where the search begins: nothing is known, but what a hidden number sees."""
    return {
        "seen": rng.normal(0, 0.25, (2 * PIXELS, HIDDEN)),
        "digit": rng.normal(0, 0.25, (10, HIDDEN)),
        "hidden_bias": np.zeros(HIDDEN),
        "out": rng.normal(0, 0.02, (HIDDEN, PIXELS * LEVELS)),
        "out_digit": np.zeros((10, PIXELS * LEVELS)),
        "out_bias": np.zeros(PIXELS * LEVELS),
    }


def levels(net: Any, pixels: Any, digit: Any) -> Any:
    """The log-probabilities of each pixel's levels, (64, 17), given the digit and the pixels before it.

    A masked autoencoder (Germain, Gregor, Murray and Larochelle, 2015): one pass gives them all.
    """
    sees, shown = masks()
    dark = pixels / (LEVELS - 1)
    seen = jnp.concatenate([dark, pixels > 0]) @ (net["seen"] * np.concatenate([sees, sees]))
    of = jax.nn.one_hot(digit, 10, dtype=seen.dtype)
    hidden = jax.nn.relu(seen + of @ net["digit"] + net["hidden_bias"])
    logits = hidden @ (net["out"] * np.repeat(shown, LEVELS, axis=1)) + of @ net["out_digit"] + net["out_bias"]
    return jax.nn.log_softmax(logits.reshape(PIXELS, LEVELS))


def image_density(p: Any, row: Any) -> Any:
    """The log-probability of ONE image of a digit: the sum over its pixels."""
    each = levels(p["net"], row["pixels"], row["digit"])
    return jnp.sum(each * jax.nn.one_hot(row["pixels"], LEVELS, dtype=each.dtype))


def fit_network(train: Images) -> jm.Fit:
    """Adam with weight decay in single precision, a tenth of the images held out to say when to stop."""
    model = jm.Model(image_density, {"net": jm.Tree(weights(np.random.default_rng(0)))})
    rate = optax.cosine_decay_schedule(4e-3, EPOCHS * 21)
    solver = jm.Minibatch(
        optax.adamw(rate, weight_decay=0.02),
        batch=64,
        epochs=EPOCHS,
        validation=0.1,
        patience=6,
        precision="float32",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jm.FitWarning)  # that no optimum is proved is in the certificate, and printed
        return jm.fit(model, train, solver=solver)
