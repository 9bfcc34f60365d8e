"""Small tables: the kinds of networks that are cross-fitted to them, and their average."""
