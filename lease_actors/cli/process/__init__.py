"""A command and all that it starts, as one tree that is ended in time."""
