"""Families: a distribution whose parameters are predicted by formulas becomes a model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Number
from typing import Any

from ..errors import ModelError, did_you_mean
from .conditional import Response
from .distributions.base import Distribution
from .distributions.wrapped import wrap
from .domains import Domain
from .formula import split_response as split_formula
from .linear import CONSTANT, Linear
from .links import UNSPECIFIED, resolve_link
from .model import Model, Parameter


@dataclass(frozen=True)
class Family:
    """Makes models of one distribution: `family("response ~ terms", parameter="~ terms", ...)`.

    Arguments:
        distribution: the class; its first parameter is the one that the formula predicts.
        variants: (setting, ((value, class), ...)): a keyword that chooses among classes, the first being the default.
    """

    distribution: type[Distribution]
    variants: tuple[tuple[str, tuple[tuple[Any, type[Distribution]], ...]], ...] = ()

    def __call__(self, response: str, *, link: Any = None, exposure: str | None = None, **parameters: Any) -> Model:
        """The model of a response.

        Arguments:
            response: `"response ~ terms"`, whose terms predict the first parameter, or the name of the response alone.
            link: link of the first parameter, a name or a `Link`; default the family's.
            exposure: a column whose logarithm is added to the predictor of the first parameter, which has a log link.
            parameters: for each parameter by name a formula `"~ terms"`, a `Linear`, a domain, or a number that it is
                held at; for what the family knows of each row (`trials`) the name of a column.

        Raises:
            ModelError: for names, formulas or links that make no sense.
        """
        family = self._variant(parameters)
        names, terms = split_response(response)
        known = tuple((field, _column(parameters.pop(field, None), field, family)) for field in family.known)
        params = declared(family, terms, parameters, link, exposure)
        text = response.strip() if isinstance(response, str) else ", ".join(names)
        return Model(Response(family, names, known), params, name=family.heading(params), about=text)

    def _variant(self, parameters: dict[str, Any]) -> type[Distribution]:
        for setting, choices in self.variants:
            value = parameters.pop(setting, None)
            if value is None:
                continue
            if value not in dict(choices):
                known = " or ".join(repr(v) for v, _ in choices)
                raise ModelError(f"{setting} of {self.distribution.title} is {known}; got {value!r}.")
            return dict(choices)[value]
        return self.distribution

    @property
    def __name__(self) -> str:
        return self.distribution.__name__

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return inspect.getdoc(self.distribution)

    @property
    def __signature__(self) -> inspect.Signature:
        only = inspect.Parameter.KEYWORD_ONLY
        settings = (name for name, _ in self.variants)
        names = (*self.distribution.known, *self.distribution.parameters, *settings, "link", "exposure")
        first = inspect.Parameter("response", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str)
        rest = [inspect.Parameter(n, only, default=None) for n in names]
        return inspect.Signature([first, *rest], return_annotation=Model)


def family(distribution: type[Distribution]) -> Family:
    """A family of your own distribution: what `jm.poisson` is to the Poisson.

    Arguments:
        distribution: a subclass of `Distribution`; a class of numpyro's distributions; or what `jm.wrap` made of a class
            of another package.

    Returns:
        A function of `"response ~ terms"` and of each parameter by name, that returns a `Model`.

    Raises:
        ModelError: for anything else.
    """
    if isinstance(getattr(distribution, "arg_constraints", None), dict):
        distribution = wrap(distribution)
    if not (isinstance(distribution, type) and issubclass(distribution, Distribution)):
        raise ModelError(f"family takes a subclass of jm.Distribution; got {distribution!r}.")
    if inspect.isabstract(distribution):
        missing = ", ".join(sorted(distribution.__abstractmethods__))
        raise ModelError(f"{distribution.__name__} lacks {missing}: write it, or it has no likelihood.")
    if not distribution.parameters:
        raise ModelError(f"{distribution.__name__} has no parameters: annotate them, as in `scale: jm.Positive`.")
    if not distribution.title:
        distribution.title = _spaced(distribution.__name__)
    return Family(distribution)


def _spaced(name: str) -> str:
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
    return words[:1].upper() + words[1:]


def split_response(response: Any) -> tuple[tuple[str, ...], str | None]:
    """The columns of the response, and the formula of the terms (`"~ ..."`) or None."""
    if isinstance(response, list | tuple):
        if not response or not all(isinstance(name, str) for name in response):
            raise ModelError(f"A response of several columns is a list of their names; got {response!r}.")
        return tuple(response), None
    if not isinstance(response, str) or not response.strip():
        raise ModelError(f"A family takes 'response ~ terms' or the name of the response; got {response!r}.")
    name, terms = split_formula(response)
    return (name,), terms


def declared(
    family: type[Distribution],
    terms: str | None,
    parameters: Mapping[str, Any],
    link: Any = None,
    exposure: str | None = None,
) -> dict[str, Parameter]:
    """The declaration of every parameter of a family, from what a factory was given."""
    first = next(iter(family.parameters))
    if unknown := [name for name in parameters if name not in family.parameters]:
        known = (*family.known, *family.parameters, "link", "exposure")
        raise ModelError(f"{family.title} has no parameter {unknown[0]!r}.{did_you_mean(unknown[0], known)}")
    given = {name: value for name, value in parameters.items() if value is not None}
    if terms is not None and first in given:
        raise ModelError(f"{first!r} is predicted by the formula and given as an argument too: give one of them.")
    if terms is not None:
        given[first] = terms
    if (link is not None or exposure is not None) and not isinstance(given.get(first), str | Linear):
        if first in given:
            raise ModelError(f"link and exposure belong to a predictor, but {first!r} is {given[first]!r}.")
        given[first] = Linear([CONSTANT])
    params = {name: _parameter(family, name, given.get(name)) for name in family.parameters}
    main = params[first]
    if link is not None:
        main = replace(main, link=resolve_link(link))
    if exposure is not None:
        if not isinstance(exposure, str):
            raise ModelError(f"exposure takes the name of a column; got {exposure!r}.")
        if main.link.name != "log":  # type: ignore[union-attr]
            raise ModelError(f"exposure needs a log link, but {first!r} has the link {main.link.name!r}.")  # type: ignore[union-attr]
        main = replace(main, offset=(*main.offset, f"log({_quoted(exposure)})"))  # type: ignore[union-attr]
    return params | {first: main}


def _quoted(column: str) -> str:
    return column if column.isidentifier() else f"`{column}`"


def _parameter(family: type[Distribution], name: str, given: Any) -> Parameter:
    domain = family.parameters[name]
    if given is None:
        return domain
    if isinstance(given, str):
        if not given.lstrip().startswith("~"):
            raise ModelError(
                f"{name} of {family.title} got the string {given!r}: a formula starts with '~'; for a column as it "
                f"stands write jm.Linear({given!r})."
            )
        given = Linear(given)
    if isinstance(given, Linear):
        if given.link is UNSPECIFIED:
            given = replace(given, link=family.default_link(name))
        return replace(given, shape=domain.shape)
    if isinstance(given, Number) and not isinstance(given, bool):
        return replace(domain, start=None, fixed=given)
    if isinstance(given, Domain):
        return given
    raise ModelError(
        f"{name} of {family.title} takes a formula, a Linear, a domain or a number that it is held at; got {given!r}."
    )


def _column(given: Any, field: str, family: type[Distribution]) -> str:
    if not isinstance(given, str):
        raise ModelError(f"{family.title} needs {field}=, the name of a column; got {given!r}.")
    return given
