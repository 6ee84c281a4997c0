"""Analyses of what was transferred between models."""
