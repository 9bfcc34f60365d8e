"""Claims on weight initialisation."""
