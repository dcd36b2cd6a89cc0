"""Distillation of long filters to state-space models."""
