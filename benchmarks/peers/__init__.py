"""One file per package, each with an `Adapter`; `registry` lists them, `answer` says what a fit gives."""
