"""RMSNorm and LayerNorm, with the sum before them, forward and backward."""
