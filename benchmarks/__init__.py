"""Runnable comparisons; each prints its table. Results, with the machine they come from, stand in README.md."""
