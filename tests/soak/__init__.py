"""Long runs of several workers of one group: `python -m tests.soak` (`make soak`)."""
