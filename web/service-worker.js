/** Keeps the page's files, so that it works without a network, and lets nothing leave the browser. */

const CACHE = "restyle-try-%VERSION%";
const FILES = %FILES%;
const LARGE = 200_000; // such files are kept when they are first asked for, with a progress bar
const HEADERS = {
  "Content-Security-Policy": "%POLICY%",
  // Isolated pages may use threads.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

self.addEventListener("install", (event) => {
  const small = Object.keys(FILES).filter((path) => FILES[path] < LARGE);
  const requests = ["./", ...small].map((path) => new Request(path, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(takeOver());
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (url.origin !== location.origin) event.respondWith(Response.error());
  else if (url.href.startsWith(registration.scope)) event.respondWith(answer(event, url));
});

async function takeOver() {
  for (const name of await caches.keys()) {
    if (name.startsWith("restyle-try-") && name !== CACHE) await caches.delete(name);
  }
  await clients.claim();
}

async function answer(event, url) {
  const cache = await caches.open(CACHE);
  const path = url.origin + url.pathname;
  let response = await cache.match(path);
  if (!response) {
    response = await fetch(path, { cache: "no-cache" });
    if (response.ok) event.waitUntil(cache.put(path, response.clone()).catch(() => {})); // full
  }
  // Documents and workers are what policies apply to; a response made anew has no compiled code.
  return /(\/|\.html|\.m?js)$/.test(url.pathname) ? guarded(response) : response;
}

function guarded({ body, status, statusText, headers }) {
  const all = new Headers(headers);
  for (const [name, value] of Object.entries(HEADERS)) all.set(name, value);
  return new Response(body, { status, statusText, headers: all });
}
