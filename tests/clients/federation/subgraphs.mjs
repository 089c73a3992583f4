// Two graphs of other people, each on a port of its own: node subgraphs.mjs <tickets.json>; prints both addresses.
// Owners and tickets extend Connector, Sync and SyncRun; teams have Relay connections of their own.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { buildSubgraphSchema } from "@apollo/subgraph";
import { graphql, parse } from "graphql";

const tickets = JSON.parse(readFileSync(process.argv[2], "utf8"));
const teams = ["Data", "Sales", "Support"].map((name, index) => ({ id: `team-${index}`, name }));

/** What both keys of a thing have in common here: tickets name a sync by its provider's own id, the rest by id. */
const named = ({ id, providerName, externalId }) => id ?? `${providerName}/${externalId}`;
const extended = (field) => ({
  owner: (its) => `owner of ${named(its)}`,
  tickets: (its) => tickets.filter((ticket) => ticket[field] && named(ticket[field]) === named(its)),
});
const owners = {
  Query: { tickets: () => tickets },
  Ticket: { __resolveReference: ({ id }) => tickets.find((ticket) => ticket.id === id) },
  Connector: extended("connector"),
  Sync: extended("sync"),
  SyncRun: extended("run"),
};
const pages = {
  Query: {
    teams(_, { first, after }) {
      const start = after ? teams.findIndex(({ id }) => id === after) + 1 : 0;
      const nodes = teams.slice(start, start + first);
      const pageInfo = {
        hasNextPage: start + first < teams.length,
        hasPreviousPage: Boolean(after),
        startCursor: nodes.at(0)?.id,
        endCursor: nodes.at(-1)?.id,
      };
      return { nodes, edges: nodes.map((node) => ({ node, cursor: node.id })), pageInfo };
    },
  },
};

function serve(name, resolvers) {
  const typeDefs = parse(readFileSync(new URL(`${name}.graphql`, import.meta.url), "utf8"));
  const schema = buildSubgraphSchema([{ typeDefs, resolvers }]);
  const server = createServer(async (request, response) => {
    const { query, variables, operationName } = JSON.parse(await text(request));
    const answer = await graphql({ schema, source: query, variableValues: variables, operationName });
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${server.address().port}/graphql`));
  });
}
console.log(await serve("owners", owners), await serve("teams", pages));
