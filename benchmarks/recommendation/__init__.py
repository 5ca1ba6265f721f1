"""Recommendations while a table streams in, beside recommenders trained in batch."""
