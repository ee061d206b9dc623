"""A network draws digits pixel by pixel: an image generator whose every image has an exact probability."""

from __future__ import annotations

import math
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

PIXELS, LEVELS, HIDDEN, HELD_OUT, EPOCHS = 64, 17, 256, 360, 60

Images = dict[str, np.ndarray]


def masks() -> tuple[np.ndarray, np.ndarray]:
    """Which pixels a hidden number may see, and which hidden numbers a pixel: those of earlier pixels alone."""
    last = np.arange(HIDDEN) % (PIXELS - 1)
    sees = np.arange(PIXELS)[:, None] <= last
    shown = last[:, None] < np.arange(PIXELS)
    return sees.astype(np.float32), shown.astype(np.float32)


def weights(train: Images, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Where the search begins: at the frequencies of each pixel's levels, whatever the hidden numbers see."""
    n = np.full((PIXELS, LEVELS), 0.1)
    np.add.at(n, (np.tile(np.arange(PIXELS), len(train["digit"])), train["pixels"].ravel()), 1)
    return {
        "seen": rng.normal(0, 0.25, (2 * PIXELS, HIDDEN)),
        "digit": rng.normal(0, 0.25, (10, HIDDEN)),
        "hidden_bias": np.zeros(HIDDEN),
        "out": rng.normal(0, 0.02, (HIDDEN, PIXELS * LEVELS)),
        "out_digit": np.zeros((10, PIXELS * LEVELS)),
        "out_bias": np.log(n / n.sum(axis=1, keepdims=True)).ravel(),
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
    model = jm.Model(image_density, {"net": jm.Tree(weights(train, np.random.default_rng(0)))})
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


# --- the show ---------------------------------------------------------------------------------------------------------


def log_probabilities(net: Any, pixels: np.ndarray, digit: np.ndarray) -> np.ndarray:
    """Of images (n, 64) as images of these digits, (n,)."""
    density = lambda net, x, k: image_density({"net": net}, {"pixels": x, "digit": k})
    return np.asarray(jax.jit(jax.vmap(density, (None, 0, 0)))(net, pixels, digit), float)


def by_pixel_alone(train: Images, test: Images) -> np.ndarray:
    """The same where each pixel has frequencies of its own for each digit, a tenth of an image added to each level."""
    n = np.full((10, PIXELS, LEVELS), 0.1)
    where = np.repeat(train["digit"], PIXELS), np.tile(np.arange(PIXELS), len(train["digit"])), train["pixels"].ravel()
    np.add.at(n, where, 1)
    p = n / n.sum(axis=2, keepdims=True)
    return np.log(p[test["digit"][:, None], np.arange(PIXELS), test["pixels"]]).sum(axis=1)


def drawn(net: Any, digit: np.ndarray, key: int) -> np.ndarray:
    """Images of these digits that the network makes up, pixel by pixel, (n, 64)."""

    def one(digit: Any, key: Any) -> Any:
        def pixel(i: Any, pixels: Any) -> Any:
            level = jax.random.categorical(jax.random.fold_in(key, i), levels(net, pixels, digit)[i])
            return pixels.at[i].set(level.astype(pixels.dtype))

        return jax.lax.fori_loop(0, PIXELS, pixel, jnp.zeros(PIXELS, jnp.int32))

    return np.asarray(jax.jit(jax.vmap(one))(digit, jax.random.split(jax.random.key(key), len(digit))))


def run(picture: Path) -> bool:
    """Fit, print, compare, draw; whether images not seen take fewer bits than by their pixels one for one."""
    train, test = handwritten(HELD_OUT)
    say(f"A network draws digits pixel by pixel: {len(train['digit'])} images to learn from, {HELD_OUT} held back\n")
    fit = fit_network(train)
    say(f"{fit}\n")
    net = jax.tree.map(lambda x: x.astype(np.float32), fit.params["net"])
    bits = lambda log_probability: -log_probability.mean() / PIXELS / math.log(2)
    as_each = np.stack([log_probabilities(net, test["pixels"], np.full(HELD_OUT, k)) for k in range(10)], axis=1)
    network, alone = bits(as_each[np.arange(HELD_OUT), test["digit"]]), bits(by_pixel_alone(train, test))
    say("Bits for each pixel of an image not seen before, of 17 levels (log2 17 = 4.09), the digit being known:")
    say(f"  {alone:.3f} with pixels independent of each other, and {network:.3f} by the network.\n")
    each = jax.jit(levels)(net, test["pixels"][0], test["digit"][0])
    changed = jax.jit(levels)(net, np.where(np.arange(PIXELS) < 30, test["pixels"][0], 16), test["digit"][0])
    numbers = Numbers()
    numbers.compare("bits per pixel, pixels independent", alone, 2.1707, 0.001)
    numbers.compare("bits per pixel, the network", network, 2.03, 0.07)
    numbers.compare(
        "read right by Bayes' rule, of those not seen", (as_each.argmax(axis=1) == test["digit"]).mean(), 0.94, 0.04
    )
    numbers.compare("probabilities of a pixel's levels add up to", float(np.exp(each).sum(axis=1).min()), 1.0, 1e-4)
    moved = float(np.abs(each - changed)[:31].max())
    numbers.compare("change of 31 pixels' by what comes after them", moved, 0.0, 1e-6)
    say()
    draw(picture, 2, partial(_paint, test, drawn(net, np.repeat(np.arange(10), 10), key=0)))
    return numbers.hold


def _paint(test: Images, made: np.ndarray, left: Any, right: Any) -> None:
    real = np.concatenate([np.flatnonzero(test["digit"] == k)[:10] for k in range(10)])
    for ax, pixels, title in ((left, test["pixels"][real], "Written by people"), (right, made, "Made up")):
        sheet = np.full((100, 100), np.nan)
        for i, image in enumerate(pixels):
            y, x = 10 * (i // 10), 10 * (i % 10)
            sheet[y + 1 : y + 9, x + 1 : x + 9] = image.reshape(8, 8)
        ax.imshow(sheet, cmap="Greys", vmin=0, vmax=LEVELS - 1)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        label(ax, title, "")
