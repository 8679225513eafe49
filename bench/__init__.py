"""Benchmarks: each prints a number beside a baseline of the same run. Not part of the package, not run by the tests."""
