"""Declare: what is to be estimated. Parameter domains, linear predictors, and the model that ties them to a log-density."""
