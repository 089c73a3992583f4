// One list read to its end by urql, with the relayPagination() of its normalised cache.
import { readFileSync } from "node:fs";
import { Client, fetchExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { buildSchema, introspectionFromSchema } from "graphql";
import { checkedFetch, field, first, next, parentsIn, report, size, url } from "./gateway.mjs";

/**
 * relayPagination() passes over a page without rows, and over what it says of the end with it (urql pull request 2431):
 * a list whose last rows are gone when one asks for them, or whose filter left a page empty, would never end.
 */
function pages() {
  const merged = relayPagination();
  return (parent, args, cache, info) => {
    const list = merged(parent, args, cache, info);
    for (;;) {
      const { hasNextPage, endCursor } = list?.pageInfo ?? {};
      const after = hasNextPage && cache.resolve(info.parentKey, info.fieldName, { ...args, after: endCursor });
      const its = after && cache.resolve(after, "pageInfo");
      if (!its) return list;
      list.pageInfo.hasNextPage = cache.resolve(its, "hasNextPage");
      list.pageInfo.endCursor = cache.resolve(its, "endCursor");
    }
  };
}

const schema = introspectionFromSchema(buildSchema(readFileSync("../../../schema.graphql", "utf8")));
const hasId = ({ fields }) => fields.some(({ name }) => name === "id");
const values = schema.__schema.types.filter((its) => its.kind === "OBJECT" && !hasId(its));
const cache = cacheExchange({
  schema,
  keys: Object.fromEntries(values.map(({ name }) => [name, () => null])),
  resolvers: {
    Query: { connectors: pages(), syncs: pages(), syncRuns: pages() },
    Provider: { connectors: pages() },
    Connector: { syncs: pages(), runs: pages() },
    Sync: { runs: pages() },
  },
});
const exchanges = [cache, fetchExchange];
const client = new Client({ url, exchanges, fetch: checkedFetch, preferGetMethod: false });

async function ask(query, variables, requestPolicy) {
  const { data, error } = await client.query(query, { count: size, ...variables }, { requestPolicy });
  if (error) throw error;
  return data;
}

for (const parent of parentsIn(await ask(first))) {
  for (let page = parent[field]?.pageInfo; page?.hasNextPage; ) {
    const cursor = page.endCursor;
    const { id } = parent;
    const data = id ? (await ask(next, { cursor, id })).node : await ask(first, { cursor });
    page = data[field].pageInfo;
  }
}
report(parentsIn(await ask(first, {}, "cache-only")).map((parent) => [parent.id, parent[field]]));
