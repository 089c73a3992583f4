import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';

// Includes the styles of Monaco and of the two plugins, and the fonts (as data: URLs).
import 'graphiql/style.css';
import './main.css';

const ENDPOINT = '/graphql';
const ASSETS = '/graphql/assets';

// Monaco asks for this when it starts its first worker.
globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    const name = label === 'json' || label === 'graphql' ? label : 'editor';
    return new Worker(`${ASSETS}/${name}.worker.js`, { name: label });
  },
};

async function fetcher(params, { headers } = {}) {
  const response = await fetch(ENDPOINT, {
    method: 'POST',
    credentials: 'same-origin',
    headers: {
      accept: 'application/graphql-response+json, application/json',
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(params),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    const what = `HTTP ${response.status} ${response.statusText}`.trim();
    return { errors: [{ message: `${what}: the answer is not JSON`, extensions: { body: text.slice(0, 2000) } }] };
  }
}

// examples.json is edited by hand: an array of {query, variables?, headers?};
// variables and headers may be objects or JSON text.
async function loadTabs() {
  const text = value => (value == null || typeof value === 'string' ? value : JSON.stringify(value, null, 2));
  try {
    const response = await fetch(`${ASSETS}/examples.json`, { credentials: 'same-origin' });
    if (!response.ok) {
      throw new Error(`HTTP ${response.status}`);
    }
    const tabs = (await response.json()).map(({ query, variables, headers }) => ({
      query,
      variables: text(variables),
      headers: text(headers),
    }));
    return tabs.length ? tabs : undefined;
  } catch (error) {
    console.warn('examples.json could not be loaded:', error);
    return undefined;
  }
}

loadTabs().then(defaultTabs => {
  createRoot(document.getElementById('graphiql')).render(<GraphiQL fetcher={fetcher} defaultTabs={defaultTabs} />);
});
