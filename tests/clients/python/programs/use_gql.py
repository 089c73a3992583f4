"""The same by gql, which reads the gateway's schema and holds every operation against it: python use_gql.py <url> <operations>."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from graphql import GraphQLError

url, operations = sys.argv[1:]
text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path(operations).glob("*.graphql")))


async def main():
    async with Client(transport=AIOHTTPTransport(url=url), fetch_schema_from_transport=True) as session:

        async def ask(name, **variables):
            return await session.execute(GraphQLRequest(text, variable_values=variables, operation_name=name))

        wanted = {"statuses": ["FAILED"]}
        first = (await ask("Runs", count=3, wanted=wanted))["syncRuns"]
        cursor = first["pageInfo"]["endCursor"]
        second = (await ask("Runs", count=3, wanted=wanted, cursor=cursor))["syncRuns"]
        rows = [edge["node"] for edge in [*first["edges"], *second["edges"]]]
        nodes = (await ask("ByIds", ids=[row["id"] for row in rows]))["nodes"]
        overview = (await ask("Overview", days=1))["overview"]
        with pytest.raises(GraphQLError, match="Cannot query field 'nothing' on type 'SyncRun'"):
            await session.execute(GraphQLRequest("{ syncRuns { nodes { nothing } } }"))
    told = {
        "ids": [row["id"] for row in rows],
        "names": [node["providerName"] for node in nodes],
        "syncs": sum(one["count"]["value"] for one in overview["health"]),
    }
    print(json.dumps(told))


asyncio.run(main())
