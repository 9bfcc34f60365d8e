"""Selection of the backend for the ops, and the number of processors."""
