// What graphql-eslint recommends for a schema, and for one that Relay reads; each exception with its reason.
import graphql from "@graphql-eslint/eslint-plugin";

const recommended = graphql.configs["flat/schema-recommended"].rules;
const relay = graphql.configs["flat/schema-relay"].rules;
const [level, names] = recommended["@graphql-eslint/naming-convention"];
const { "ObjectTypeDefinition,ObjectTypeExtension": ofTypes, ...ofOthers } = names;

export default [
  {
    files: ["**/*.graphql"],
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: "../../../schema.graphql" } },
    },
    plugins: { "@graphql-eslint": graphql },
    rules: {
      ...recommended,
      ...relay,
      // The prefix "Type" is what it means; TypedCount, a count by type, begins with another word.
      "@graphql-eslint/naming-convention": [
        level,
        {
          ...ofOthers,
          "ObjectTypeDefinition,ObjectTypeExtension": {
            forbiddenSuffixes: ofTypes.forbiddenSuffixes,
            forbiddenPatterns: [/^Type(?!d)/],
          },
        },
      ],
      // Only a Node has an identity, and GraphQL itself demands its id; the other types are values of what holds them.
      "@graphql-eslint/strict-id-in-types": "off",
      // Forward only: providers have no way back (docs/adr/0010-forward-only.md).
      "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],
      // A list that is short and always whole (`sources`, `reasons`) is a plain one, and so is a connection's `nodes`.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
    },
  },
];
