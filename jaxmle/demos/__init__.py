"""Programs that show what maximum likelihood does, each with the numbers that prove it and a picture: `jaxmle demo --list`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

DEMOS: Mapping[str, str] = MappingProxyType(
    {
        "certified": "two data sets of NIST, and its certified results",
        "bias": "the variance of a normal sample is estimated too small, by how much, and the correction",
        "consistency": "estimates close in on the truth as rows are added, at the rate of 1/√n",
        "normality": "estimates over their standard errors are standard normal, and intervals cover as often as they say",
        "information": "curvature and spread of the slope are one thing if the model is right, and two if it is not",
        "efficiency": "no unbiased estimate is more precise: the Cramér–Rao bound, reached by one and missed by another",
        "hard": "likelihoods with several maxima, ridges, plateaus, corners, edges: solved, or reported for what they are",
        "hidden": "a century of earthquakes: quiet and busy years, told apart by a hidden Markov chain",
        "mixture": "two kinds of days in one count: the published fit, and how EM, SQUAREM and Newton's method come to it",
        "invariance": "estimates and profile intervals do not depend on how a model is written down; Wald intervals do",
        "clusters": "how many kinds of iris there are, and of what shape, by BIC; against mclust and the species",
        "images": "a network draws digits pixel by pixel: every image has a probability, and takes fewer bits for it",
        "names": "a network spells first names, each counted as often as it was given: perplexity below that of trigrams",
        "digits": "a network reads handwritten digits: the cross-entropy is a log-likelihood, and the weights a parameter",
        "survival": "Cox regression of the trial in Cox's paper: hazard ratios by both rules for ties, pairs, and curves",
    }
)
"""Name → what it shows. Each is a module of this package with a function `run(picture)` that says whether its numbers hold."""


def run(name: str, picture: Path) -> bool:
    """Run the demo of this name, save its picture, and say whether its numbers hold."""
    return import_module(f".{name}", __name__).run(picture)
