"""jaxmle: maximum likelihood on JAX, for any log-density, with a proof of its optimum."""
