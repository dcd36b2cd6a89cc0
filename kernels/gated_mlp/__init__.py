"""The pointwise part of the gated feed-forward block, forward and backward."""
