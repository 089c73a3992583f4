// The first events of a subscription. Called as: node subscribe.mjs <url> <client> <transport> <how many>
import { ApolloClient, ApolloLink, InMemoryCache, Observable, gql as apolloGql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { Client, cacheExchange, fetchExchange, gql as urqlGql, subscriptionExchange } from "@urql/core";
import { print } from "graphql";
import * as sse from "graphql-sse";
import * as ws from "graphql-ws";

const [url, client, transport, number] = process.argv.slice(2);
const query = `subscription Runs {
  syncRunChanged { kind previousStatus observedAt run { id status providerName sync { name } } }
}`;

const bySocket = () => ws.createClient({ url: url.replace("http", "ws"), retryAttempts: 0 });
const byStream = (singleConnection) =>
  sse.createClient({ url: `${url}/stream`, singleConnection, retryAttempts: 0 });

/** Clients of the two protocols alone, by transport. */
const plain = { ws: bySocket, sse: () => byStream(false), "sse-single": () => byStream(true) };

/** What graphql-sse's own documentation gives for Apollo Client. */
class SSELink extends ApolloLink {
  client = byStream(false);
  request(operation) {
    return new Observable((sink) =>
      this.client.subscribe({ ...operation, query: print(operation.query) }, {
        next: sink.next.bind(sink), complete: sink.complete.bind(sink), error: sink.error.bind(sink),
      }));
  }
}

const forward = (client) => subscriptionExchange({
  forwardSubscription: (request) => ({
    subscribe: (sink) => ({ unsubscribe: client.subscribe({ ...request, query: request.query ?? "" }, sink) }),
  }),
});
const urql = (...exchanges) => new Client({
  url, exchanges: [cacheExchange, ...exchanges], fetchSubscriptions: transport === "sse", preferGetMethod: false,
});

const subscribes = {
  plain: (sink) => plain[transport]().subscribe({ query }, sink),
  apollo(sink) {
    const link = transport === "ws" ? new GraphQLWsLink(bySocket()) : new SSELink();
    const its = new ApolloClient({ cache: new InMemoryCache(), link });
    return its.subscribe({ query: apolloGql(query) }).subscribe(sink);
  },
  urql(sink) {
    const its = transport === "sse" ? urql(fetchExchange) : urql(forward(plain[transport]()), fetchExchange);
    return its.subscription(urqlGql(query), {}).subscribe((result) => (
      result.error ? sink.error(result.error) : sink.next(result)
    ));
  },
};

const events = [];
subscribes[client]({
  next({ data, errors }) {
    if (errors) throw new Error(JSON.stringify(errors));
    events.push(data.syncRunChanged);
    if (events.length === Number(number)) {
      console.log(JSON.stringify(events));
      process.exit();
    }
  },
  error(error) {
    throw error;
  },
  complete() {
    throw new Error("ended");
  },
});
