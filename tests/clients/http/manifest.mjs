// Trusted documents. Called as: node manifest.mjs <url> <apollo|relay> <manifest>
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { createPersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { generatePersistedQueryIdsFromManifest } from "@apollo/persisted-query-lists";
import relay from "relay-runtime";
import { rememberingFetch, requests } from "./fetched.mjs";
import { TRUSTED } from "./trusted/apollo.mjs";

const { Environment, Network, RecordSource, Store, fetchQuery } = relay;
const [url, name, manifest] = process.argv.slice(2);
const variables = { first: 3 };

const asks = {
  async apollo() {
    const loadManifest = async () => JSON.parse(await readFile(manifest, "utf-8"));
    const ids = createPersistedQueryLink(generatePersistedQueryIdsFromManifest({ loadManifest }));
    const link = ids.concat(new HttpLink({ uri: url, fetch: rememberingFetch }));
    const client = new ApolloClient({ cache: new InMemoryCache(), link });
    return (await client.query({ query: TRUSTED, variables })).data;
  },
  async relay() {
    const send = async ({ id }, variables) => {
      const headers = { "content-type": "application/json", accept: "application/graphql-response+json" };
      const body = JSON.stringify({ documentId: id, variables });
      return (await rememberingFetch(url, { method: "POST", headers, body })).json();
    };
    const environment = new Environment({ network: Network.create(send), store: new Store(new RecordSource()) });
    const query = createRequire(import.meta.url)("./__generated__/relayTrustedQuery.graphql.js");
    return fetchQuery(environment, query, variables).toPromise();
  },
};

/** The same data, in a text that is not in the manifest. */
async function askAsAStranger() {
  const client = new ApolloClient({
    cache: new InMemoryCache(), link: new HttpLink({ uri: url, fetch: rememberingFetch }),
  });
  const { error } = await client.query({ query: gql("{ syncs { nodes { id } } }"), errorPolicy: "all" });
  return error.errors.map((one) => one.extensions.code);
}

const data = await asks[name]();
const codes = await askAsAStranger();
console.log(JSON.stringify({ requests, syncs: data.syncs.nodes.length, codes }));
