"""Every published figure, one module each: `python -m benchmarks.NAME --json`. Servers come from `tests.servers`."""
