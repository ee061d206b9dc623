"""A network spells first names letter by letter; each name counts as often as it was given to a child."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxmle as jm

from ..datasets import load
from .stage import Numbers, draw, label, say

END, LONGEST, BACK = 0, 13, 6
"""The sign that begins and ends a name, its letters at most, and how many signs back the network looks."""

LETTERS = ".abcdefghijklmnopqrstuvwxyz"
"""The signs; a point for the end."""

SIGNS, PLACES, HIDDEN = len(LETTERS), 8, 96

Names = dict[str, np.ndarray]


def spelt() -> dict[str, Names]:
    """Names by their use ("train", "validation", "test"): `sign` (n, LONGEST), END from the end on, and `count` (n,)."""
    data = load("names")
    sign = np.zeros((len(data["name"]), LONGEST), int)
    for i, name in enumerate(data["name"]):
        sign[i, : len(name)] = [LETTERS.index(letter) for letter in str(name).lower()]
    use = np.random.default_rng(0).choice(3, len(sign), p=(0.8, 0.1, 0.1))
    return {
        kind: {"sign": sign[use == i], "count": data["count"][use == i]}
        for i, kind in enumerate(("train", "validation", "test"))
    }


def weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Where the search begins: a place in space for each sign, a hidden layer, 27 signs that may come next."""
    normal = lambda inputs, outputs, size=1.0: rng.normal(0, size / np.sqrt(inputs), (inputs, outputs))
    return {
        "place": rng.normal(0, 0.5, (SIGNS, PLACES)),
        "hidden": normal(BACK * PLACES, HIDDEN),
        "hidden_bias": np.zeros(HIDDEN),
        "out": normal(HIDDEN, SIGNS, 0.1),
        "out_bias": np.zeros(SIGNS),
    }


def next_sign(net: Any, before: Any) -> Any:
    """The log-probabilities of the next sign, (..., 27), given the `BACK` signs before it (Bengio et al., 2003)."""
    seen = jnp.take(net["place"], before, axis=0).reshape(*before.shape[:-1], BACK * PLACES)
    hidden = jnp.tanh(seen @ net["hidden"] + net["hidden_bias"])
    return jax.nn.log_softmax(hidden @ net["out"] + net["out_bias"])


def spelling(p: Any, row: Any) -> Any:
    """The log-density of ONE name: the sum over its letters and its end."""
    sign = row["sign"]
    so_far = jnp.concatenate([jnp.full(BACK, END), sign])
    before = jnp.stack([so_far[i : i + LONGEST] for i in range(BACK)], axis=-1)
    terms = jnp.take_along_axis(next_sign(p["net"], before), sign[:, None], axis=1)[:, 0]
    is_part = jnp.concatenate([jnp.array([True]), sign[:-1] != END])
    return jnp.sum(jnp.where(is_part, terms, 0.0))


def fit_network(names: Mapping[str, Names]) -> jm.Fit:
    """Adam in single precision with a decaying rate; names held out say when to stop."""
    used = [names["train"], names["validation"]]
    data = {k: np.concatenate([part[k] for part in used]) for k in ("sign", "count")}
    data["held_out"] = np.repeat([False, True], [len(part["count"]) for part in used])
    model = jm.Model(spelling, {"net": jm.Tree(weights(np.random.default_rng(0)))})
    rate = optax.cosine_decay_schedule(5e-3, 40 * 32)
    solver = jm.Minibatch(
        optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=0.02)),
        batch=128,
        epochs=40,
        validation="held_out",
        patience=8,
        precision="float32",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jm.FitWarning)  # that no optimum is proved is in the certificate, and printed
        return jm.fit(model, data, weights="count", solver=solver)


# --- what it is compared with -----------------------------------------------------------------------------------------


def signs_of(names: Names) -> tuple[np.ndarray, np.ndarray]:
    """Every sign of the names with the two before it, (n, 3), and how often each counts."""
    sign = names["sign"]
    padded = np.concatenate([np.full((len(sign), 2), END), sign], axis=1)
    triples = np.stack([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]], axis=-1)
    is_part = np.concatenate([np.ones((len(sign), 1), bool), sign[:, :-1] != END], axis=1)
    return triples[is_part], np.repeat(names["count"], is_part.sum(axis=1))


def trigrams(names: Mapping[str, Names]) -> np.ndarray:
    """P(sign | two before), (27, 27, 27): frequencies after two, one and no signs, and equal chances, mixed as suits the
    names held out best (Jelinek and Mercer, 1980)."""
    triples, count = signs_of(names["train"])
    n = np.zeros((SIGNS, SIGNS, SIGNS))
    np.add.at(n, tuple(triples.T), count)
    share = lambda n: n / np.maximum(n.sum(axis=-1, keepdims=True), 1e-300)
    tables = (n, n.sum(axis=0), n.sum(axis=(0, 1)), np.ones(SIGNS))
    each = np.stack([np.broadcast_to(share(t), n.shape) for t in tables])
    held, weight = signs_of(names["validation"])
    at = each[:, held[:, 0], held[:, 1], held[:, 2]]
    mix = np.full(4, 0.25)
    for _ in range(200):
        part = mix[:, None] * at
        mix = (part / part.sum(axis=0)) @ weight / weight.sum()
    return np.tensordot(mix, each, 1)


# --- the show ---------------------------------------------------------------------------------------------------------


def after(net: Any, so_far: list[str]) -> np.ndarray:
    """The probability of each sign after these beginnings, (n, 27)."""
    before = np.array([[LETTERS.index(c) for c in ("." * BACK + text)[-BACK:]] for text in so_far])
    return np.exp(np.asarray(next_sign(net, before), float))


def sampled(net: Any, n: int, key: int) -> list[str]:
    """Names that the network makes up, sign by sign."""
    rng = np.random.default_rng(key)
    words = [""] * n
    for _ in range(LONGEST - 1):
        p = after(net, words)
        drawn = [LETTERS[rng.choice(SIGNS, p=row / row.sum())] for row in p]
        words = [w if w.endswith(".") else w + c for w, c in zip(words, drawn)]
    return [w.rstrip(".").capitalize() for w in words]


def run(picture: Path) -> bool:
    """Fit, print, compare, draw; whether the network spells names it has not seen better than trigrams do."""
    names = spelt()
    fit = fit_network(names)
    children = sum(part["count"].sum() for part in names.values())
    say(f"5,000 first names of {children:,.0f} children born in the United States in 2000, spelt by a network\n")
    say(f"{fit}\n")
    net = jax.tree.map(lambda x: x.astype(np.float32), fit.params["net"])
    density = jax.jit(jax.vmap(lambda net, sign: spelling({"net": net}, {"sign": sign}), (None, 0)))
    test, baseline = names["test"], trigrams(names)
    triples, count = signs_of(test)
    per_sign = test["count"] @ np.asarray(density(net, test["sign"]), float) / count.sum()
    by_trigrams = count @ np.log(baseline[tuple(triples.T)]) / count.sum()
    used = np.concatenate([names["train"]["sign"], names["validation"]["sign"]])
    often = np.concatenate([names["train"]["count"], names["validation"]["count"]])
    total = often @ np.asarray(density(net, used), float)
    say(
        f"Perplexity per letter of {len(test['count'])} names that neither has seen: of 27 signs, as good as guessing among"
    )
    say(f"  {np.exp(-by_trigrams):.2f} by smoothed trigrams, and {np.exp(-per_sign):.2f} by the network.\n")
    numbers = Numbers()
    numbers.compare("perplexity of trigrams, names not seen", np.exp(-by_trigrams), 8.015, 0.01)
    numbers.compare("perplexity of the network, names not seen", np.exp(-per_sign), 7.45, 0.4)
    numbers.compare("the same over that of trigrams", np.exp(by_trigrams - per_sign), 0.93, 0.06)
    numbers.compare(
        "log-likelihood of a child's name, and by hand", fit.log_likelihood / often.sum(), total / often.sum(), 1e-4
    )
    say()
    invented = sampled(net, 12, key=0)
    say(f"Invented: {', '.join(invented)}\n")
    draw(picture, 2, partial(_paint, net))
    return numbers.hold


def _paint(net: Any, left: Any, right: Any) -> None:
    beginnings = ["", "j", "ja", "jac", "jaco", "mar", "mari", "chris", "eli", "elizabet"]
    p = after(net, beginnings)
    left.imshow(p, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(p):
        for j in np.argsort(row)[-3:]:
            left.text(j, i, LETTERS[j], ha="center", va="center", color="white" if row[j] > 0.5 else "black")
    left.set_xticks(range(SIGNS), [*LETTERS], fontsize="x-small")
    left.set_yticks(range(len(beginnings)), [text.capitalize() + "–" for text in beginnings])
    label(left, "Probability of the next letter (. is the end)", "")
    place = net["place"][1:] - net["place"][1:].mean(axis=0)
    across = place @ np.linalg.svd(place, full_matrices=False)[2][:2].T
    for letter, (x, y) in zip(LETTERS[1:], across):
        vowel = letter in "aeiouy"
        right.text(x, y, letter, ha="center", va="center", color="C3" if vowel else "0.2", fontsize=14)
    right.set_xlim(1.15 * across[:, 0].min(), 1.15 * across[:, 0].max())
    right.set_ylim(1.15 * across[:, 1].min(), 1.15 * across[:, 1].max())
    label(right, "Where the network has put the letters", "first principal component", "second")
