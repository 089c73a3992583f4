// Bundles the page into the directory given as the argument. Run through build.sh.
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const out = process.argv[2];
mkdirSync(out, { recursive: true });

const common = {
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['es2022'],
  charset: 'utf8',
  legalComments: 'external', // moved to LICENSES.txt below
  define: { 'process.env.NODE_ENV': '"production"' },
  banner: { js: '/*! Licences: /graphql/assets/LICENSES.txt */', css: '/*! Licences: /graphql/assets/LICENSES.txt */' },
  metafile: true,
  logLevel: 'warning',
};

const prettier = {
  'prettier/parser-graphql': 'prettier/plugins/graphql', // the same code, asked for under both names
  'prettier/parser-babel': './jsonc-format.js',
  'prettier/plugins/estree': './jsonc-format.js',
};

// Features of Monaco that GraphiQL does not use (it also has no way to switch them on).
const UNUSED =
  /contrib\/(codelens|colorPicker|dropOrPasteInto|inlayHints|inlineCompletions|inlineEdits?|inlineProgress|rename|sectionHeaders|semanticTokens|stickyScroll|diffEditorBreadcrumbs)\/|diffEditor\.contribution|suggestInlineCompletions/;

const smaller = {
  name: 'smaller',
  setup({ onLoad }) {
    // graphiql/style.css already contains Monaco's styles.
    onLoad({ filter: /[\\/]monaco-editor[\\/].*\.css$/ }, () => ({ contents: '', loader: 'empty' }));
    onLoad({ filter: /[\\/]vs[\\/]editor[\\/]editor\.all\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(/^import .*;$/gm, line => (UNUSED.test(line) ? '' : line)),
    }));
    // Of the fonts keep Latin and Latin Extended; other scripts fall back to the fonts of the system.
    onLoad({ filter: /[\\/]graphiql[\\/]dist[\\/]style\.css$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(/@font-face\s*\{[^}]*\}/g, face =>
        !face.includes('unicode-range') || /U\+0000-00FF|U\+0100-024F/.test(face) ? face : '',
      ),
      loader: 'css',
    }));
  },
};

const results = [
  await build({
    ...common,
    entryPoints: { app: 'main.jsx' },
    outdir: out,
    jsx: 'automatic',
    alias: prettier,
    plugins: [smaller],
  }),
  await build({
    ...common,
    entryPoints: {
      'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
      'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
      'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
    },
    outdir: out,
    alias: prettier,
  }),
];
copyFileSync('index.html', join(out, 'index.html'));

// --- LICENSES.txt ---------------------------------------------------------------------------
const dirs = new Set();
for (const { metafile } of results) {
  for (const input of Object.keys(metafile.inputs)) {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (match) dirs.add(match[1]);
  }
}

// Packages whose archive has no licence file: the text is that of their own repository's sibling.
const SAME_REPOSITORY = {
  '@graphiql/plugin-doc-explorer': 'graphiql',
  '@graphiql/plugin-history': 'graphiql',
  'react-compiler-runtime': 'react',
  'react-remove-scroll-bar': 'react-remove-scroll',
};
const LICENCE_FILE = /^(licen[cs]e|copying|notice|third-?party-?notices)([._-].*)?$/i;

const texts = new Map(); // text -> the packages it is for
const rows = [];
function add(label, text) {
  const clean = text.replace(/\r\n?/g, '\n').replace(/[ \t]+$/gm, '').trim();
  texts.set(clean, [...(texts.get(clean) ?? []), label]);
}
const licenceFiles = dir => readdirSync(dir).filter(name => LICENCE_FILE.test(name)).sort();

for (const dir of [...dirs].sort()) {
  const { name, version, license } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  rows.push([name, version, license]);
  let from = dir;
  if (!licenceFiles(from).length) {
    if (!SAME_REPOSITORY[name]) throw new Error(`no licence text for ${name}`);
    from = join('node_modules', SAME_REPOSITORY[name]);
  }
  for (const file of licenceFiles(from)) add(`${name} ${version}`, readFileSync(join(from, file), 'utf8'));
  if (name === 'monaco-editor') add(`${name} ${version}`, readFileSync(join(from, 'ThirdPartyNotices.txt'), 'utf8'));
}
// Parts that are no npm packages here: fonts inside graphiql/style.css, and what Monaco carries along.
function addPart(name, version, licence, file) {
  rows.push([name, version, licence]);
  add(`${name} ${version}`, readFileSync(join('node_modules', file), 'utf8'));
}
addPart('(font) Roboto', '2.137', 'Apache-2.0', 'react-aria/LICENSE'); // the plain Apache text
addPart('(font) Fira Code', '5.002', 'OFL-1.1', '@fontsource/fira-code/LICENSE');
addPart('(font) codicon', '1.11', 'CC-BY-4.0', '@vscode/codicons/LICENSE');
addPart('(in monaco-editor) DOMPurify', '3.1.7', 'MPL-2.0 OR Apache-2.0', 'react-aria/LICENSE');

const comments = new Set();
for (const file of readdirSync(out).filter(name => name.endsWith('.LEGAL.txt'))) {
  for (const block of readFileSync(join(out, file), 'utf8').match(/^ *\/\*[^]*?\*\/|^ *\/\/.*$/gm) ?? []) {
    comments.add(block.replace(/^ {2}/gm, '').trim());
  }
  rmSync(join(out, file));
}

const rule = '='.repeat(80);
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
rows.sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]));
const lines = [
  'Licences of the software in the GraphiQL page of syncgraph',
  '',
  'Copyright (font) Roboto: 2011 Google Inc. Codicons: Microsoft Corporation.',
  'The packages are bundled and minified; unused parts are left out (see build.mjs).',
  '',
  ...rows.map(([name, version, licence]) => `${name.padEnd(40)} ${version.padEnd(14)} ${licence}`),
];
for (const [text, labels] of texts) lines.push('', rule, ...new Set(labels), rule, '', text);
lines.push('', rule, 'Notices found in the source files', rule, '', ...[...comments].sort(compare).flatMap(c => [c, '']));
writeFileSync(join(out, 'LICENSES.txt'), `${lines.join('\n').trimEnd()}\n`);
