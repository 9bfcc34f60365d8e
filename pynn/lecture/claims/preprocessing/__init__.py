"""Claims on data preprocessing."""
