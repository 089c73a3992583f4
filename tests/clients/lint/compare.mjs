// What graphql-inspector says changed between two schemas: node compare.mjs <before> <after>; answers with JSON.
import { readFileSync } from "node:fs";
import { diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const [before, after] = process.argv.slice(2).map((path) => buildSchema(readFileSync(path, "utf8")));
const changes = await diff(before, after);
console.log(JSON.stringify(changes.map(({ path, message, criticality }) => ({ path, message, level: criticality.level }))));
