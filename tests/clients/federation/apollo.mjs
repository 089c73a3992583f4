// node apollo.mjs <supergraph file>: @apollo/gateway within @apollo/server; prints its address.
import { readFileSync } from "node:fs";
import { ApolloGateway } from "@apollo/gateway";
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";

const gateway = new ApolloGateway({ supergraphSdl: readFileSync(process.argv[2], "utf8") });
const listen = { host: "127.0.0.1", port: 0 };
const { url } = await startStandaloneServer(new ApolloServer({ gateway }), { listen });
console.log(url);
