// For relay-compiler.
import { graphql } from "relay-runtime";

graphql`
  query relayTrustedQuery($first: Int!) {
    providers { ...relay_name }
    syncs(first: $first) { nodes { id name } }
  }
`;

graphql`
  fragment relay_name on Provider { id name }
`;
