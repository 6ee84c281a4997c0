"""Leaderboard tables, overlays and plots."""
