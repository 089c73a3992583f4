"""Pages through a list by the client that ariadne-codegen generated: python use_ariadne.py <url>."""

import json
import sys
from datetime import datetime

from generated import Client, RunStatus, SyncRunFilter
from generated.by_ids import ByIdsNodesSyncRun

with Client(url=sys.argv[1]) as client:
    wanted = SyncRunFilter(statuses=[RunStatus.FAILED])
    first = client.runs(count=3, wanted=wanted).sync_runs
    assert first is not None
    second = client.runs(count=3, cursor=first.page_info.end_cursor, wanted=wanted).sync_runs
    assert second is not None
    rows = [edge.node for edge in [*first.edges, *second.edges]]
    nodes = client.by_ids(ids=[row.id for row in rows]).nodes
    overview = client.overview(days=1).overview
    assert overview is not None

moments: list[datetime] = [row.ordered_at for row in rows]
assert moments == sorted(moments, reverse=True)
assert {row.status for row in rows} == {RunStatus.FAILED}
told = {
    "ids": [row.id for row in rows],
    "names": [node.provider_name if isinstance(node, ByIdsNodesSyncRun) else None for node in nodes],
    "syncs": sum(one.count.value for one in overview.health),
}
print(json.dumps(told))
