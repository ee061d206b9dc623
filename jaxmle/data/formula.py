"""Placeholder."""


def bind(text, table, parameter, functions=()):
    raise NotImplementedError


def split_offset(text):
    return text, ()


def variables(text):
    return ()
