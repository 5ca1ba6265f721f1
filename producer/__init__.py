"""Getting events onto the log: the publisher for applications, the replay of tables, the synthetic shop."""
