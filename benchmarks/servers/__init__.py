"""The peers' servers: each started on loopback, with its own data directory, and ended with the run."""
