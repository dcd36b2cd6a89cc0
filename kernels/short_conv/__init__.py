"""Causal depthwise convolutions of a few taps, with their activation, forward and backward."""
