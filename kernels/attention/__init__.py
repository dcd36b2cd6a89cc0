"""Attention as tile programs, forward and backward, for every mask of the dialect and for lists of tiles."""
