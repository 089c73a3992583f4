"""How old an answer may be, as a client asks for it by header, and how old it is, as it is told (RFC 9111)."""

import math
import re

from syncgraph.graph.schema import Result

_MAX_AGE = re.compile(r"max-age\s*=\s*\"?(\d{1,9})")


def max_age_s(cache_control: str) -> float | None:
    """Of a request: ``no-cache`` and ``no-store`` ask for what is fresh now; None: it does not ask."""
    wanted = cache_control.lower()
    if "no-cache" in wanted or "no-store" in wanted:
        return 0.0
    asked = _MAX_AGE.search(wanted)
    return float(asked[1]) if asked else None


def caching(result: Result) -> dict[str, str]:
    """Headers of an answer that may be kept by its client, for as long as what it was made from is fresh."""
    if result.max_age_s is None:
        return {}
    age_s = math.ceil(result.age_s)  # with the other rounded down: never fresh for longer than it is
    return {"cache-control": f"private, max-age={int(result.max_age_s)}", "age": str(age_s)}
