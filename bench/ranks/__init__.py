"""Training on several ranks: speed, traffic, and how many ranks pay; see README.md."""
