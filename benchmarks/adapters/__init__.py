"""One module for each peer: all of it that the work needs, as its own documentation would do it."""
