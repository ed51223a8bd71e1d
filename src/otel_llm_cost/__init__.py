"""Know what every LLM call costs, who spent it, and stop it before it passes the budget."""

from __future__ import annotations

__version__ = "0.1.0"
