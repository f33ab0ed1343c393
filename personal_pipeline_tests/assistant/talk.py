"""A conversation with the real command, over standard input and output, by the official client."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from personal_pipeline_tests.invented_house import AT, NOW

Said = TypeVar("Said")


@dataclass(frozen=True)
class Reply:
    """What a tool answered: its columns and rows by name, or the error."""

    text: str
    said: dict[str, Any]
    refused: bool

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [dict(zip(self.said["columns"], row, strict=True)) for row in self.said["rows"]]

    @property
    def sources(self) -> set[str]:
        return {each["source"] for each in self.said["as_of"]["sources"]}


async def ask(client: Client, tool: str, **arguments: object) -> Reply:
    result = await client.call_tool(tool, dict(arguments))
    text = "".join(getattr(each, "text", "") for each in result.content)
    return Reply(text, result.structured_content or {}, bool(result.is_error))


def talk(
    environment: Mapping[str, str], conversation: Callable[[Client], Awaitable[Said]]
) -> tuple[Said, str]:
    """What the conversation gives, and what the server wrote to its standard error."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-P", "-c", AT, NOW.isoformat(), "mcp"],
        env={**os.environ, **environment},
        # where no .env lies
        cwd=environment["PERSONAL_PIPELINE_HOME"],
    )

    async def meet() -> Said:
        async with Client(stdio_client(server, errlog=errors)) as client:
            return await conversation(client)

    with tempfile.TemporaryFile("w+") as errors:
        said = anyio.run(meet)
        errors.seek(0)
        return said, errors.read()
