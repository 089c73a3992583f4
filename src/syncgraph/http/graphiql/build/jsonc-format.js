// A plugin for Prettier that formats JSON with comments by means of jsonc-parser, which GraphiQL has on board.
// GraphiQL itself takes Prettier's Babel and ESTree plugins for this, half a megabyte (see build.mjs).
import { applyEdits, format, parse, printParseErrorCode } from 'jsonc-parser';

export const parsers = {
  jsonc: {
    astFormat: 'jsonc-text',
    locStart: () => 0,
    locEnd: node => node.text.length,
    parse(text) {
      const errors = [];
      parse(text, errors, { allowTrailingComma: true, allowEmptyContent: true });
      if (errors.length) {
        throw new SyntaxError(printParseErrorCode(errors[0].error));
      }
      return { type: 'jsonc-text', text };
    },
  },
};

export const printers = {
  'jsonc-text': {
    print({ node: { text } }) {
      return applyEdits(text, format(text, undefined, { insertSpaces: true, tabSize: 2, eol: '\n' })).trim();
    },
  },
};
