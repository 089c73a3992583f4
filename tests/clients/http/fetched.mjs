// What all programs here share: a `fetch` that remembers, of each request, what named its document and how it went.

export const requests = [];

export async function rememberingFetch(address, init) {
  const url = new URL(address);
  const method = init.method ?? "GET";
  const asked = method === "GET" ? Object.fromEntries(url.searchParams) : JSON.parse(init.body);
  const response = await fetch(address, { ...init, signal: AbortSignal.timeout(60_000) });
  const { errors } = await response.clone().json();
  requests.push({
    method,
    document: ["query", "documentId", "extensions"].filter((name) => asked[name]),
    status: response.status,
    codes: (errors ?? []).map((error) => error.extensions.code),
  });
  return response;
}
