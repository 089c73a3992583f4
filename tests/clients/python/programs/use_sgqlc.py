"""The same by what sgqlc generated: python use_sgqlc.py <url>."""

import json
import sys

from generated_operations import Operations
from sgqlc.endpoint.http import HTTPEndpoint

endpoint = HTTPEndpoint(sys.argv[1])


def ask(operation, **variables):
    return operation + endpoint(operation, variables)


wanted = {"statuses": ["FAILED"]}
first = ask(Operations.query.runs, count=3, wanted=wanted).sync_runs
second = ask(Operations.query.runs, count=3, wanted=wanted, cursor=first.page_info.end_cursor).sync_runs
rows = [edge.node for edge in [*first.edges, *second.edges]]
nodes = ask(Operations.query.by_ids, ids=[row.id for row in rows]).nodes
overview = ask(Operations.query.overview, days=1).overview

assert {row.status for row in rows} == {"FAILED"}
told = {
    "ids": [row.id for row in rows],
    "names": [node.provider_name for node in nodes],
    "syncs": sum(one.count.value for one in overview.health),
}
print(json.dumps(told))
