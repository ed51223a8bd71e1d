"""A small support product: see README."""
