// What the clients share. Called as: node <client>.mjs <url> <Type.field> <page size>; answers with JSON on stdout.

export const [url, list] = process.argv.slice(2);
export const size = Number(process.argv[4]);
export const [type, field] = list.split(".");

/** Where the parents of a nested list are found; null for a list of the root. */
export const parents = { Query: null, Provider: "providers", Connector: "connectors", Sync: "syncs" }[type];

/** Of a first answer: every object whose list is read, the whole answer for a list of the root. */
export function parentsIn(data) {
  if (parents === null) return [data];
  return data[parents].edges?.map((edge) => edge.node) ?? data[parents];
}

const connection = `${field}(first: $count, after: $cursor) {
  edges { cursor node { id } }
  pageInfo { hasPreviousPage hasNextPage startCursor endCursor }
  total { value relation }
  sources { provider { id } status coverage }
}`;
const onFirst = {
  Query: connection,
  Provider: `providers { id ${connection} }`,
}[type] ?? `${parents}(first: 100) { edges { node { id ${connection} } } }`;

/** The first page of the list, under every parent. */
export const first = `query First($count: Int!, $cursor: String) { ${onFirst} }`;

/** A later page of one parent's list. */
export const next = `query Next($count: Int!, $cursor: String, $id: ID!) {
  node(id: $id) { id ... on ${type} { ${connection} } }
}`;

let requests = 0;
let received = 0;

/** The `fetch` of all clients. What is wrong with an answer ends the program: no error belongs to these lists. */
export async function checkedFetch(address, init) {
  const response = await fetch(address, { ...init, signal: AbortSignal.timeout(60_000) });
  const { data, errors } = await response.clone().json();
  if (errors) throw new Error(JSON.stringify(errors));
  requests += 1;
  const continued = Boolean(JSON.parse(init.body).variables.cursor);
  for (const { [field]: connection } of "node" in data ? [data.node] : parentsIn(data)) {
    if (connection === null) continue;
    const { hasPreviousPage, hasNextPage, endCursor } = connection.pageInfo;
    if (hasPreviousPage !== continued) throw new Error("hasPreviousPage: true when `after` was given, else false.");
    if (hasNextPage && !endCursor) throw new Error("There is a next page, and no cursor to it.");
    if (connection.edges.length > size) throw new Error("More rows than were asked for.");
    received += connection.edges.length;
  }
  return response;
}

/** `shown`: pairs of a parent's id and what the client holds for its list at the end, null where there is no list. */
export function report(shown) {
  const lists = shown.map(([id, connection]) => [
    id ?? "",
    connection && { ids: connection.edges.map((edge) => edge.node.id), pageInfo: connection.pageInfo },
  ]);
  console.log(JSON.stringify({ requests, received, lists: Object.fromEntries(lists) }));
}
