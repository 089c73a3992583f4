// node compose.mjs <composer> <schema file> <url> [<schema file> <url> ...]: prints the supergraph, or why there is none.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parse, print } from "graphql";

const composers = {
  async apollo(subgraphs) {
    const { composeServices } = await import("@apollo/composition");
    const { supergraphSdl, errors } = composeServices(subgraphs);
    return { supergraph: supergraphSdl, errors };
  },
  async hive(subgraphs) {
    const { composeServices } = await import("@theguild/federation-composition");
    const { supergraphSdl, errors } = composeServices(subgraphs);
    return { supergraph: supergraphSdl, errors };
  },
  async cosmo(subgraphs) {
    const { federateSubgraphs } = await import("@wundergraph/composition");
    const definitions = subgraphs.map(({ typeDefs, ...its }) => ({ ...its, definitions: typeDefs }));
    const composed = federateSubgraphs({ subgraphs: definitions, version: "1" });
    return { supergraph: composed.success && print(composed.federatedGraphAST), errors: composed.errors };
  },
};

const [name, ...given] = process.argv.slice(2);
const compose = composers[name];
const subgraphs = [];
for (let at = 0; at < given.length; at += 2) {
  const [file, url] = given.slice(at);
  subgraphs.push({ name: basename(file, ".graphql"), url, typeDefs: parse(readFileSync(file, "utf8")) });
}
const { supergraph, errors } = await compose(subgraphs);
if (errors?.length) throw new Error(errors.map(String).join("\n"));
console.log(supergraph);
