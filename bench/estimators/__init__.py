"""Replacing an import: scikit-learn's perceptrons beside pynn's, with the same settings."""
