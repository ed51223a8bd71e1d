"""Team support: sorts the inbox and answers tickets from the handbook."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from anthropic import Anthropic
from anthropic.types import MessageParam, TextBlockParam, ToolParam
from openai import OpenAI
from pydantic import BaseModel

from otel_llm_cost import tags

INBOX = [
    ("acme", "The invoice of March shows seats that we gave back in January."),
    ("acme", "Export to CSV stops after ten thousand lines."),
    ("globex", "How do we add a second administrator?"),
    ("initech", "The printer report is blank since the last update, and month end is tomorrow."),
    ("umbrella", "Please delete the test workspace that we made last week."),
]

HANDBOOK = "\n".join(
    f"{number}. Answer in two sentences. Say what happens next and when. Refund rule {number} applies."
    for number in range(1, 121)
)

LOOK_UP: ToolParam = {
    "name": "look_up_contract",
    "description": "The customer's plan and its renewal date.",
    "input_schema": {
        "type": "object",
        "properties": {"customer": {"type": "string"}},
        "required": ["customer"],
    },
}


class Label(BaseModel):
    """Where a ticket belongs."""

    queue: str
    urgent: bool


def sort_inbox() -> None:
    """Label every ticket, four at a time."""
    client = OpenAI()

    def label(customer: str, text: str) -> None:
        with tags(customer_id=customer):
            client.chat.completions.parse(
                model="gpt-4.1-mini",
                messages=[
                    {
                        "role": "system",
                        "content": "Name the queue (billing, bug, howto) and whether it is urgent.",
                    },
                    {"role": "user", "content": text},
                ],
                response_format=Label,
            )

    with tags(team="support", feature="triage"), ThreadPoolExecutor(max_workers=4) as pool:
        for done in [pool.submit(label, customer, text) for customer, text in INBOX]:
            done.result()


def answer_all() -> None:
    """Answer every ticket; the handbook is read from the provider's cache after the first."""
    client = Anthropic()
    system = _handbook("1h")
    with tags(team="support", feature="answers"):
        for customer, text in INBOX:
            with (
                tags(customer_id=customer),
                client.messages.stream(
                    model="claude-sonnet-5-5",
                    max_tokens=400,
                    system=system,
                    messages=[{"role": "user", "content": text}],
                ) as answer,
            ):
                answer.get_final_message()
        with tags(customer_id="acme"):
            _answer_with_contract(client, *INBOX[0])


def _handbook(keep_for: Literal["5m", "1h"]) -> list[TextBlockParam]:
    return [
        {"type": "text", "text": HANDBOOK, "cache_control": {"type": "ephemeral", "ttl": keep_for}},
    ]


def _answer_with_contract(client: Anthropic, customer: str, text: str) -> None:
    """Let the model look into the customer's contract before it answers."""
    system = _handbook("5m")
    messages: list[MessageParam] = [{"role": "user", "content": f"{customer}: {text}"}]
    asked = client.messages.create(
        model="claude-haiku-4-5", max_tokens=300, system=system, tools=[LOOK_UP], messages=messages
    )
    calls = [block for block in asked.content if block.type == "tool_use"]
    if not calls:
        return
    messages.append({"role": "assistant", "content": asked.content})
    messages.append(
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call.id, "content": "Plan: team, renews 2027-02-01"}
                for call in calls
            ],
        }
    )
    client.messages.create(
        model="claude-haiku-4-5", max_tokens=300, system=system, tools=[LOOK_UP], messages=messages
    )
