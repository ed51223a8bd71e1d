"""A local provider that speaks the OpenAI and Anthropic wire formats, and bills what it served.

It stands for the other side of the counter: it keeps its own books, in integers, from its own price table,
and imports nothing but the standard library (relative imports only, so a copy of this folder runs anywhere):

    with Provider() as provider:
        OpenAI(base_url=provider.openai_url, api_key="any").chat.completions.create(...)
        provider.bill.usd   # what that cost
"""

from __future__ import annotations

from .bill import Bill, Line
from .quantities import Quantities
from .script import Step
from .seen import Seen
from .server import Provider

__all__ = ["Bill", "Line", "Provider", "Quantities", "Seen", "Step"]
