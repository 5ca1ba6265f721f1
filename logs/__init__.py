"""The event log: one interface, three implementations (kafka, redis, memory), and how logs are created and found."""
