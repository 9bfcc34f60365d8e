"""Foundations of the other packages: argument checks, object settings, files, signals and processes."""
