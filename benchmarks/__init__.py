"""Benchmarks: run them with ``make bench``. Results are in README.md in this folder."""
