"""One folder per operator; found through ``lowering``'s registry."""
