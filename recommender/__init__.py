"""Rows to recommendations: popularity, ranking, the views that readers get, and the reader itself."""
