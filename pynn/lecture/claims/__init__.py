"""The lecture's claims: a folder for each part, a file for each claim."""
