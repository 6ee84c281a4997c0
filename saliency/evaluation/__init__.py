"""Scores: protocols, runs over data sets, baselines, results, submissions."""
