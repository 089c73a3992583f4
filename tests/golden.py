"""Reads golden files: one behaviour each, as documentation that is executed."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "golden"
_BLOCK = re.compile(r"^```(\w+) @(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Golden:
    """``upstream``: the calls, in any order. ``contracts``: by kind; the others speak their default."""

    name: str
    query: str
    variables: dict[str, Any]
    response: dict[str, Any]
    upstream: list[str]
    contracts: dict[str, str]


def read(path: Path) -> Golden:
    blocks = {name: text for _, name, text in _BLOCK.findall(path.read_text(encoding="utf-8"))}
    return Golden(
        name=path.relative_to(FOLDER).as_posix(),
        query=blocks["query"],
        variables=json.loads(blocks.get("variables", "{}")),
        response=json.loads(blocks["response"]),
        upstream=blocks["upstream"].split("\n")[:-1] if blocks["upstream"].strip() else [],
        contracts=json.loads(blocks.get("contracts", "{}")),
    )


GOLDEN = [read(path) for path in sorted(FOLDER.rglob("*.md"))]
