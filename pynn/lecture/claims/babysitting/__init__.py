"""Claims on babysitting the learning process."""
