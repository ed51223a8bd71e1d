"""What happens around a call, one file per concern; `wiring.py` puts them in order."""
