// A socket that breaks, and graphql-ws's own way to come back. Called as: node resume.mjs <url> <since>
import { createClient } from "graphql-ws";

const [url, since] = process.argv.slice(2);
const query = `subscription Runs($since: DateTime) {
  syncRunChanged(since: $since) { kind observedAt run { id status } }
}`;
const connections = [];
const events = [];
const client = createClient({
  url: url.replace("http", "ws"),
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
  on: { connected: () => connections.push(events.length) },
});
client.subscribe({ query, variables: { since } }, {
  next({ data }) {
    events.push(data.syncRunChanged);
    if (connections.length === 1 && events.length === 3) client.terminate();
    const told = new Set(events.slice(connections[1]).map((event) => event.run.id));
    if (connections.length === 2 && events.slice(0, 3).every((event) => told.has(event.run.id))) {
      console.log(JSON.stringify({ connections, events }));
      process.exit();
    }
  },
  error(error) {
    throw error;
  },
  complete() {},
});
