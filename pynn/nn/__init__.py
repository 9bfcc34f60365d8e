"""Networks: layers, losses, initialisers, `Sequential`, and saving, loading and checking of models."""
