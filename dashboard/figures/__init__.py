"""Figures as pure functions: public documents and samples in, a Plotly figure out."""
