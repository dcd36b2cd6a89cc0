"""Chunked linear attention with decay, forward and backward."""
