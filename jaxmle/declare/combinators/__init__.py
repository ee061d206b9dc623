"""Combinators: functions of models that give models, each one idea in a file of its own."""
