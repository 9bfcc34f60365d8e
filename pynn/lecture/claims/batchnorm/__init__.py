"""Claims on batch normalisation."""
