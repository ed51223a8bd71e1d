"""Budgets: what may be spent, by whom, in which window, and the reservations that keep it so."""
