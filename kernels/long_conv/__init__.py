"""Long convolutions: directly, tap by tap, and by FFTs written as matrix products."""
