"""The defaults of ``pynn train`` measured on small real tables: see README.md."""
