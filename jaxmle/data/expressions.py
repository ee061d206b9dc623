"""Placeholder."""


def names_in(expr):
    return (expr,)
