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

const POST = (params, headers, accept) => ({
  method: 'POST',
  credentials: 'same-origin',
  headers: { accept, 'content-type': 'application/json', ...headers },
  body: JSON.stringify(params),
});

function fetcher(params, { headers, documentAST } = {}) {
  const operation = documentAST?.definitions.find(
    one => one.kind === 'OperationDefinition' && (!params.operationName || one.name?.value === params.operationName),
  );
  return operation?.operation === 'subscription' ? subscribe(params, headers) : ask(params, headers);
}

async function ask(params, headers) {
  const response = await fetch(
    ENDPOINT,
    POST(params, headers, 'application/graphql-response+json, application/json'),
  );
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return troubled(response, text);
  }
}

function troubled(response, text) {
  const what = `HTTP ${response.status} ${response.statusText}`.trim();
  return { errors: [{ message: `${what}: the answer is not JSON`, extensions: { body: text.slice(0, 2000) } }] };
}

// What GraphiQL takes for a stream of results; leaving it hangs up.
function subscribe(params, headers) {
  return {
    subscribe(sink) {
      const leaving = new AbortController();
      listen(params, headers, sink, leaving.signal).catch(error => leaving.signal.aborted || sink.error(error));
      return { unsubscribe: () => leaving.abort() };
    },
  };
}

async function listen(params, headers, sink, signal) {
  const response = await fetch(ENDPOINT, { ...POST(params, headers, 'text/event-stream'), signal });
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
    sink.next(troubled(response, await response.text()));
    return sink.complete();
  }
  let waiting = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (waiting + text).split('\n\n');
    waiting = events.pop();
    for (const event of events) {
      const [name, data] = event.split('\n');
      if (name === 'event: next') {
        sink.next(JSON.parse(data.slice('data: '.length)));
      }
    }
  }
  sink.complete();
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
