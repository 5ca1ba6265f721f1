"""Forecasts while a table streams in: held against what came, and against other ways to forecast."""
