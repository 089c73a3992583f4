"""The specification's own audits of a server: MUST, SHOULD and MAY."""

from collections import Counter
from pathlib import Path

import msgspec
from tests.clients.npm import Suite
from tests.test_cli import PATIENCE_S

SUITE = Suite(Path(__file__).parent)
AUDITS = 61
"""Of graphql-http 1.23.1."""


def test_every_audit_of_graphql_over_http_is_passed(url: str, numbers: dict[str, list[str]]):
    results = msgspec.json.decode(SUITE.run("audit.mjs", url, timeout_s=PATIENCE_S))

    failed = [one for one in results if one["status"] != "ok"]
    words = Counter(one["name"].split()[0] for one in results)
    by_word = ", ".join(f"{words[word]} {word}" for word in ("MUST", "SHOULD", "MAY"))
    numbers.setdefault("http", []).append(
        f"audits passed: {len(results) - len(failed)} of {len(results)} ({by_word})"
    )
    assert failed == []
    assert len(results) == AUDITS
