// @defer at each provider. Called as: node defer.mjs <url> <apollo-current|apollo-older|urql> <names of providers that answer>
import { ApolloClient, HttpLink, InMemoryCache, gql as apolloGql } from "@apollo/client";
import { Defer20220824Handler, GraphQL17Alpha9Handler } from "@apollo/client/incremental";
import { Client, fetchExchange, gql } from "@urql/core";

const [url, name, ...answering] = process.argv.slice(2);
const fragment = "fragment Linked on Provider { connectors(first: 5) { nodes { id name } } }";
const ofAll = `query OfAll { providers { id name ...Linked @defer } } ${fragment}`;
const ofOne = `query OfOne { provider(name: "${answering[0]}") { id name ...Linked @defer } } ${fragment}`;

/** How long one provider's connectors take by themselves, in milliseconds. */
async function latency(provider) {
  const body = JSON.stringify({
    query: `{ provider(name: "${provider}") { id connectors(first: 5) { nodes { id name } } } }`,
  });
  const began = performance.now();
  await (await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body })).json();
  return performance.now() - began;
}

const types = [];
async function watchingFetch(address, init) {
  const response = await fetch(address, { ...init, signal: AbortSignal.timeout(60_000) });
  types.push(response.headers.get("content-type"));
  return response;
}

/** Calls `show` with each state of the data, until it is complete. */
const watches = {
  "apollo-current": (query, show) => apollo(new GraphQL17Alpha9Handler(), query, show),
  "apollo-older": (query, show) => apollo(new Defer20220824Handler(), query, show),
  urql: (query, show) =>
    new Promise((resolve) => {
      const client = new Client({ url, fetch: watchingFetch, exchanges: [fetchExchange], preferGetMethod: false });
      client.query(gql(query), {}).subscribe((result) => {
        show(result.data, result.error?.graphQLErrors ?? []);
        if (!result.hasNext) resolve();
      });
    }),
};

function apollo(incrementalHandler, query, show) {
  const client = new ApolloClient({
    cache: new InMemoryCache(), link: new HttpLink({ uri: url, fetch: watchingFetch }), incrementalHandler,
  });
  return new Promise((resolve) => {
    client.watchQuery({ query: apolloGql(query), errorPolicy: "all" }).subscribe((result) => {
      if (result.data) show(result.data, result.error?.errors ?? []);
      if (result.dataState === "complete" || (!result.loading && result.networkStatus !== 9)) resolve();
    });
  });
}

for (const provider of answering) await latency(provider);
await watches[name](ofOne, () => {});
types.length = 0;
const latencies = [];
for (const provider of answering) latencies.push(await latency(provider));
const fastest = Math.min(...latencies);
const began = performance.now();
const states = [];
await watches[name](ofAll, (data, errors) => {
  states.push({
    ms: performance.now() - began,
    linked: data.providers.filter((one) => one.connectors?.nodes).map((one) => one.name),
    names: data.providers.map((one) => one.name),
    codes: errors.map((error) => error.extensions.code),
    troubled: errors.map((error) => error.extensions.provider),
  });
});
console.log(JSON.stringify({ types, fastest, states }));
