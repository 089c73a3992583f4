// One list read to its end by relay-runtime, with what relay-compiler made of lists.js.
import { createRequire } from "node:module";
import relay from "relay-runtime";
import { checkedFetch, field, list, parentsIn, report, size, url } from "./gateway.mjs";

const { Environment, Network, RecordSource, Store, fetchQuery, getSingularSelector } = relay;
const compiled = (suffix) =>
  createRequire(import.meta.url)(`./__generated__/lists_${list.replace(".", "_")}${suffix}.graphql.js`);

async function send({ text }, variables) {
  const headers = { "content-type": "application/json", accept: "application/graphql-response+json" };
  const body = JSON.stringify({ query: text, variables });
  return (await checkedFetch(url, { method: "POST", headers, body })).json();
}

const environment = new Environment({ network: Network.create(send), store: new Store(new RecordSource()) });
const ask = (query, variables) => fetchQuery(environment, query, variables).toPromise();
const shown = (parent) => environment.lookup(getSingularSelector(compiled(""), parent)).data[field];

const found = parentsIn(await ask(compiled("_FirstQuery"), { count: size }));
for (const parent of found) {
  for (let page = shown(parent); page?.pageInfo.hasNextPage; page = shown(parent)) {
    const variables = { count: size, cursor: page.pageInfo.endCursor };
    await ask(compiled("_NextQuery"), parent.id ? { ...variables, id: parent.id } : variables);
  }
}
report(found.map((parent) => [parent.id, shown(parent)]));
