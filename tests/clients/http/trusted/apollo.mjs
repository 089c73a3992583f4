// For generate-persisted-query-manifest, and for Apollo Client itself.
import { gql } from "@apollo/client";

export const TRUSTED = gql`
  query TrustedOfApollo($first: Int!) {
    providers { ...NamedProvider }
    syncs(first: $first) { nodes { id name } }
  }
  fragment NamedProvider on Provider { id name }
`;
