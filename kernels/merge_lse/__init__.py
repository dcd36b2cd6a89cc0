"""Merging parts of an attention as tile programs, forward and backward."""
