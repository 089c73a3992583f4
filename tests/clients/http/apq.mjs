// Automatic persisted queries. Called as: node apq.mjs <url> <apollo|urql> <GET|POST> <a text nobody else sends>
import { createHash } from "node:crypto";
import { ApolloClient, HttpLink, InMemoryCache, gql as apolloGql } from "@apollo/client";
import { createPersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { Client, fetchExchange, gql } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { rememberingFetch, requests } from "./fetched.mjs";

const [url, name, method, alias] = process.argv.slice(2);
const query = `query Named { ${alias}: providers { id name } }`;
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** By a client that was just started: it knows nothing of what the gateway keeps. */
const asks = {
  async apollo() {
    const persisted = createPersistedQueryLink({ sha256, useGETForHashedQueries: method === "GET" });
    const link = persisted.concat(new HttpLink({ uri: url, fetch: rememberingFetch }));
    const client = new ApolloClient({ cache: new InMemoryCache(), link });
    return (await client.query({ query: apolloGql(query) })).data;
  },
  async urql() {
    const persisted = persistedExchange({ preferGetForPersistedQueries: method === "GET" ? "force" : false });
    const client = new Client({
      url, fetch: rememberingFetch, exchanges: [persisted, fetchExchange], preferGetMethod: false,
    });
    const { data, error } = await client.query(gql(query), {}).toPromise();
    if (error) throw error;
    return data;
  },
};

const first = await asks[name]();
const second = await asks[name]();
const names = (data) => data[alias].map((provider) => provider.name);
console.log(JSON.stringify({ requests, first: names(first), second: names(second) }));
