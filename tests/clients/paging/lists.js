// For relay-compiler: over each connection of the schema a fragment that is a @connection and is @refetchable.
import { graphql } from "relay-runtime";

graphql`
  fragment lists_Query_connectors on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "lists_Query_connectors_NextQuery") {
    connectors(first: $count, after: $cursor) @connection(key: "lists_Query_connectors") {
      edges { node { id } }
      pageInfo { hasPreviousPage startCursor }
      total { value relation }
      sources { provider { name } status coverage }
    }
  }
`;
graphql`
  query lists_Query_connectors_FirstQuery($count: Int!) {
    ...lists_Query_connectors @arguments(count: $count)
  }
`;

graphql`
  fragment lists_Query_syncs on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "lists_Query_syncs_NextQuery") {
    syncs(first: $count, after: $cursor) @connection(key: "lists_Query_syncs") {
      edges { node { id } }
      pageInfo { hasPreviousPage startCursor }
      total { value relation }
      sources { provider { name } status coverage }
    }
  }
`;
graphql`
  query lists_Query_syncs_FirstQuery($count: Int!) {
    ...lists_Query_syncs @arguments(count: $count)
  }
`;

graphql`
  fragment lists_Query_syncRuns on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "lists_Query_syncRuns_NextQuery") {
    syncRuns(first: $count, after: $cursor) @connection(key: "lists_Query_syncRuns") {
      edges { node { id } }
      pageInfo { hasPreviousPage startCursor }
      total { value relation }
      sources { provider { name } status coverage }
    }
  }
`;
graphql`
  query lists_Query_syncRuns_FirstQuery($count: Int!) {
    ...lists_Query_syncRuns @arguments(count: $count)
  }
`;

graphql`
  fragment lists_Provider_connectors on Provider
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "lists_Provider_connectors_NextQuery") {
    connectors(first: $count, after: $cursor) @connection(key: "lists_Provider_connectors") {
      edges { node { id } }
      pageInfo { hasPreviousPage startCursor }
      total { value relation }
      sources { provider { name } status coverage }
    }
  }
`;
graphql`
  query lists_Provider_connectors_FirstQuery($count: Int!) {
    providers { id ...lists_Provider_connectors @arguments(count: $count) }
  }
`;

graphql`
  fragment lists_Connector_syncs on Connector
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "lists_Connector_syncs_NextQuery") {
    syncs(first: $count, after: $cursor) @connection(key: "lists_Connector_syncs") {
      edges { node { id } }
      pageInfo { hasPreviousPage startCursor }
      total { value relation }
      sources { provider { name } status coverage }
    }
  }
`;
graphql`
  query lists_Connector_syncs_FirstQuery($count: Int!) {
    connectors(first: 100) { edges { node { id ...lists_Connector_syncs @arguments(count: $count) } } }
  }
`;

graphql`
  fragment lists_Connector_runs on Connector
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "lists_Connector_runs_NextQuery") {
    runs(first: $count, after: $cursor) @connection(key: "lists_Connector_runs") {
      edges { node { id } }
      pageInfo { hasPreviousPage startCursor }
      total { value relation }
      sources { provider { name } status coverage }
    }
  }
`;
graphql`
  query lists_Connector_runs_FirstQuery($count: Int!) {
    connectors(first: 100) { edges { node { id ...lists_Connector_runs @arguments(count: $count) } } }
  }
`;

graphql`
  fragment lists_Sync_runs on Sync
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "lists_Sync_runs_NextQuery") {
    runs(first: $count, after: $cursor) @connection(key: "lists_Sync_runs") {
      edges { node { id } }
      pageInfo { hasPreviousPage startCursor }
      total { value relation }
      sources { provider { name } status coverage }
    }
  }
`;
graphql`
  query lists_Sync_runs_FirstQuery($count: Int!) {
    syncs(first: 100) { edges { node { id ...lists_Sync_runs @arguments(count: $count) } } }
  }
`;

