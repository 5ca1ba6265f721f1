"""Rows to segments: features, the online clusterer, adoption, identity and names. Arrays in, arrays out; no I/O."""
