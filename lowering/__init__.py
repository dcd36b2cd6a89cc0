"""From semantic operators to what runs: selection and the hand-over to Inductor."""
