// The audits of graphql-http, of the server at the address given: each with its verdict, as JSON.
import { auditServer } from "graphql-http";

const results = await auditServer({ url: process.argv[2] });
const told = results.map(({ id, name, status, reason }) => ({ id, name, status, reason: reason ?? null }));
console.log(JSON.stringify(told));
