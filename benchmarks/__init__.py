"""This library beside what a user would take instead: `benchmarks/README.md` says how to run it."""
