"""Objective: the flat vector of parameters to the value, gradient, Hessian and scores, compiled once."""
