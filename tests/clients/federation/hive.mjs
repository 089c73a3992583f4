// node hive.mjs <supergraph file>: @graphql-hive/gateway; prints its address.
import { createServer } from "node:http";
import { createGatewayRuntime } from "@graphql-hive/gateway";

const gateway = createGatewayRuntime({ supergraph: process.argv[2], logging: false });
const server = createServer(gateway);
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/graphql`));
