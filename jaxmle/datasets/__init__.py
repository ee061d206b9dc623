"""Small real data sets in the public domain, shipped with the package."""
