"""Claims on hyperparameter optimisation."""
