// What graphql-eslint complains of in the schema, as JSON.
import { readFileSync } from "node:fs";
import { ESLint } from "eslint";

const schema = readFileSync("../../../schema.graphql", "utf8");
const [{ messages }] = await new ESLint().lintText(schema, { filePath: "schema.graphql" });
console.log(JSON.stringify(messages.map(({ line, ruleId, message }) => `${line} ${ruleId} ${message}`)));
