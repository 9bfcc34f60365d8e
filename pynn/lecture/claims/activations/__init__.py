"""Claims on activation functions."""
