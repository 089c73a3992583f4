// One list read to its end by Apollo Client with its own relayStylePagination().
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { relayStylePagination } from "@apollo/client/utilities";
import { filter, firstValueFrom } from "rxjs";
import { checkedFetch, field, first, next, parentsIn, report, size, url } from "./gateway.mjs";

/**
 * For lists whose null means something (a provider that publishes no runs): relayStylePagination() alone would hold an
 * empty list with a next page instead (apollo-client issue 7944).
 */
function orNull(policy) {
  const merge = (existing, incoming, options) => incoming && policy.merge(existing, incoming, options);
  return { ...policy, merge };
}

const typePolicies = {
  Query: {
    fields: { connectors: relayStylePagination(), syncs: relayStylePagination(), syncRuns: relayStylePagination() },
  },
  Provider: { fields: { connectors: relayStylePagination() } },
  Connector: { fields: { syncs: orNull(relayStylePagination()), runs: orNull(relayStylePagination()) } },
  Sync: { fields: { runs: orNull(relayStylePagination()) } },
};

const client = new ApolloClient({
  cache: new InMemoryCache({ typePolicies }),
  link: new HttpLink({ uri: url, fetch: checkedFetch }),
});
const watched = client.watchQuery({ query: gql(first), variables: { count: size } });
watched.subscribe({ error: (error) => { throw error; } });

/** What the query shows next that is `wanted`: pages are turned as one would who looks at what is rendered. */
const until = (wanted) =>
  firstValueFrom(watched.pipe(filter((result) => result.dataState === "complete" && wanted(result))));
const shown = ({ data }) => parentsIn(data).map((parent) => [parent.id, parent[field]]);

let result = await until(() => true);
for (const [index, [id]] of shown(result).entries()) {
  const pageInfo = (of) => shown(of)[index][1]?.pageInfo;
  while (pageInfo(result)?.hasNextPage) {
    const cursor = pageInfo(result).endCursor;
    await watched.fetchMore(
      id ? { query: gql(next), variables: { count: size, cursor, id } } : { variables: { cursor } },
    );
    result = await until((next) => pageInfo(next).endCursor !== cursor || !pageInfo(next).hasNextPage);
  }
}
report(shown(result));
