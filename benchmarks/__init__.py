"""Benchmarks of jaxmle against its peers: `python -m benchmarks`."""
