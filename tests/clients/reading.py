"""What every typed client has to read by the operations of this folder: the same, asked plainly."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from tests.test_cli import PATIENCE_S

OPERATIONS = Path(__file__).parent / "operations"
QUERY = """{
  syncRuns(first: 6, filter: { statuses: [FAILED] }) { nodes { id providerName } }
  overview { health { count { value } } }
}"""


@dataclass(frozen=True)
class Reading:
    """The last failed runs, by two pages of three; and how many syncs there are, by an overview."""

    ids: list[str]
    names: list[str]
    syncs: int


def reading(url: str) -> Reading:
    data: dict[str, Any] = httpx2.post(url, json={"query": QUERY}, timeout=PATIENCE_S).json()["data"]
    rows = data["syncRuns"]["nodes"]
    syncs = sum(one["count"]["value"] for one in data["overview"]["health"])
    return Reading([row["id"] for row in rows], [row["providerName"] for row in rows], syncs)
