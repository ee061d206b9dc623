"""Series that the tests share: earthquakes by year, Lake Huron's level."""

import numpy as np

from jaxmle import datasets
from jaxmle.data.tables import Table
from jaxmle.objective.ahead import following
from jaxmle.objective.rebuild import function_of_rows, log_density_of

EARTHQUAKES = datasets.load("earthquakes")["count"]
"""Earthquakes of magnitude 7 and more, 1900 to 2006."""

HURON = datasets.load("lakehuron")["level"]
"""The level of Lake Huron, 1875 to 1972."""

TREND = np.arange(98.0) - 48.5


def with_gaps():
    y = HURON.copy()
    y[[3, 10, 11, 50]] = np.nan
    return y


def log_likelihood(model, params, data):
    """At given parameters, one number; nothing is fitted."""
    return float(log_density_of(model, params, data).sum())


def ask(model, params, data, question, **columns):
    """A function of the whole data at given parameters; nothing is fitted."""
    table = following(model, Table.read(data), None)
    return function_of_rows(model, params, table, question, columns)
