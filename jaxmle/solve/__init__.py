"""Solve: from a start to a solution, knowing nothing of models or data."""
