"""The machine: programs, the dialect, rules, passes, verifier, remarks, numerics. Knows no model and no kernel."""
