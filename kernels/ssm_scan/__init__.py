"""The scan of a diagonal linear state-space model, by chunks."""
