"""What the model says to a prompt: the same for every wire format, before it is put into one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .prices import LONGEST_PROMPT
from .quantities import Quantities
from .reply import Refusal
from .schema import instance
from .script import Step
from .text import answer, json_of, pieces

EFFORT = {"none": 0, "minimal": 0, "low": 32, "medium": 64, "high": 128}
"""Reasoning tokens per requested effort."""


@dataclass(frozen=True)
class Tool:
    """A function the caller offers."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Prompt:
    """A request, out of its wire format. `limit`: most output tokens, 0 for none; `schema`: of the answer."""

    text: str
    tools: tuple[Tool, ...] = ()
    schema: Mapping[str, Any] | None = None
    limit: int = 0
    choices: int = 1
    reasoning: int = 0


@dataclass(frozen=True)
class Generated:
    """An answer of one choice: text in tokens, or a tool call. `cut`: it hit the limit."""

    text: list[str] = field(default_factory=list)
    tool: Tool | None = None
    arguments: list[str] = field(default_factory=list)
    cut: bool = False
    reasoning: int = 0
    choices: int = 1

    @property
    def words(self) -> str:
        """The text as one string."""
        return "".join(self.text)

    @property
    def output(self) -> int:
        """Output tokens of all choices, reasoning included."""
        return (len(self.text) + len(self.arguments)) * self.choices + self.reasoning


def generate(prompt: Prompt, step: Step) -> Generated:
    """Call the first tool on offer, fill the schema, or answer in words."""
    reasoning = min(prompt.reasoning, prompt.limit) if prompt.limit else prompt.reasoning
    if prompt.tools and step.tools:
        tool = prompt.tools[0]
        arguments = pieces(json_of(instance(dict(tool.schema))))
        return Generated(tool=tool, arguments=arguments, reasoning=reasoning, choices=prompt.choices)
    if step.text:
        text = step.text
    elif prompt.schema is not None:
        text = json_of(instance(dict(prompt.schema)))
    else:
        text = answer(prompt.text, step.chunks)
    said = pieces(text)
    room = prompt.limit - reasoning if prompt.limit else len(said)
    return Generated(said[:room], cut=room < len(said), reasoning=reasoning, choices=prompt.choices)


def used(read: Quantities, said: Generated, step: Step) -> Quantities:
    """What a call comes to, or what the script says it does. Raises Refusal on a long prompt."""
    total = read.with_({"output": said.output, "reasoning": said.reasoning}).with_(step.usage)
    if total.prompt > LONGEST_PROMPT:
        raise Refusal(
            400,
            f"This model's maximum context length is {LONGEST_PROMPT} tokens; the prompt has {total.prompt}.",
            "context_length_exceeded",
        )
    return total


def share(total: Quantities, done: int, of: int) -> int:
    """Output tokens made when `done` of `of` parts of an answer are out; reasoning comes first."""
    return total.reasoning + (total.output - total.reasoning) * done // of if of else total.output
