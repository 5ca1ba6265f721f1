"""A first look at a table, or at the live customers: what is missing, how it is distributed, what goes together."""
