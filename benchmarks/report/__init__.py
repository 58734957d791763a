"""Tables and plots out of what was found."""
