// A program over generated types: answers with what it read, as JSON. Run as: node use.ts <url>, on types alone.
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";
import type { FragmentType } from "./generated/fragment-masking.ts";
import {
  ByIdsDocument,
  OverviewDocument,
  type RunRowFragment,
  RunRowFragmentDoc,
  RunsDocument,
  type RunsQueryVariables,
} from "./generated/graphql.ts";

declare const process: { argv: readonly string[] };

async function ask<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data> {
  const response = await fetch(process.argv[2] ?? "", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const { data, errors } = (await response.json()) as { data: Data; errors?: unknown };
  if (errors !== undefined) throw new Error(JSON.stringify(errors));
  return data;
}

/** What the preset's `useFragment()` is without a bundler. */
const row = (masked: FragmentType<typeof RunRowFragmentDoc>): RunRowFragment => masked as RunRowFragment;

async function page(cursor: string | null) {
  const variables: RunsQueryVariables = { count: 3, cursor, wanted: { statuses: ["FAILED"] } };
  const { syncRuns } = await ask(RunsDocument, variables);
  if (syncRuns === null) throw new Error("No list at all.");
  return syncRuns;
}

const first = await page(null);
const second = await page(first.pageInfo.endCursor);
const rows = [...first.edges, ...second.edges].map(({ node }) => row(node));
if (!rows.every(({ status }) => status === "FAILED")) throw new Error("Not what was asked for.");

const { overview } = await ask(OverviewDocument, { days: 1 });
const { nodes } = await ask(ByIdsDocument, { ids: rows.map(({ id }) => id) });
const names = nodes.map((node) => (node?.__typename === "SyncRun" ? node.providerName : null));
const syncs = overview?.health.reduce((sum, { count }) => sum + count.value, 0);
console.log(JSON.stringify({ ids: rows.map(({ id }) => id), names, syncs }));
