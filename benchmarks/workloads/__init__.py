"""The work: the same for every peer, each kind in a module of its own."""
