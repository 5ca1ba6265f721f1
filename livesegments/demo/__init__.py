"""The embedded default: a private Redis, a synthetic shop and a worker in one process, and a screen to watch them."""
