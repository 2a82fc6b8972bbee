// node serve.mjs [MODEL.onnx] [--port 8000]    then open the address that it prints
//
// Serves the page and ONNX Runtime's WASM from node_modules, to this machine alone. Any web server does as well; the three
// headers below are what matters.
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { createServer } from "node:http";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";

const TYPES = { html: "text/html", css: "text/css", mjs: "text/javascript", wasm: "application/wasm" };
const HEADERS = {
  // Both together make the page "cross-origin isolated": only then may WASM use threads.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  // The browser itself refuses to load or send anything elsewhere: images never leave this machine.
  "Content-Security-Policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; img-src 'self' blob: data:",
  "Cache-Control": "no-store",
};

process.on("uncaughtException", (error) => {
  console.error(`error: ${error.message}`); // such as an unknown option, or a port in use
  process.exit(1);
});

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { port: { type: "string", default: "8000" } },
});

/** The file behind a path of the page; null for everything else. */
function fileOf(path) {
  const library = /^\/ort\/(ort[\w.-]*\.(?:mjs|wasm))$/.exec(path);
  if (library) return new URL(`node_modules/onnxruntime-web/dist/${library[1]}`, import.meta.url);
  if (path === "/model.onnx") return positionals[0] ?? null;
  if (["/host_ready.mjs", "/pictures.mjs"].includes(path)) return new URL(`..${path}`, import.meta.url);
  if (path === "/") return new URL("index.html", import.meta.url);
  return ["/page.mjs", "/worker.mjs", "/page.css"].includes(path) ? new URL(`.${path}`, import.meta.url) : null;
}

/** Whether a request names this machine; a page of another site that points its own name here must read nothing. */
function isOurs(request) {
  const { port } = server.address();
  return [`127.0.0.1:${port}`, `localhost:${port}`].includes(request.headers.host);
}

const server = createServer(async (request, response) => {
  if (!isOurs(request)) return response.writeHead(421).end();
  const path = request.url.split("?")[0]; // compared with known ones, never opened itself
  const file = fileOf(path);
  const handle = file && (await open(file).catch(() => null));
  const type = TYPES[path === "/" ? "html" : path.split(".").pop()] ?? "application/octet-stream";
  // No model beside the page is no error: it is then picked in the page.
  response.writeHead(handle ? 200 : path === "/model.onnx" ? 204 : 404, { ...HEADERS, "Content-Type": type });
  if (!handle) return response.end();
  // As fast as the browser reads: whole files would fill the memory with the requests of one that does not.
  await pipeline(handle.createReadStream(), response).catch(() => response.destroy());
});

const library = new URL("node_modules/onnxruntime-web", import.meta.url);
if (!existsSync(library)) throw new Error("onnxruntime-web is not installed: npm ci in samples/browser");
for (const model of positionals) {
  if (!existsSync(model)) throw new Error(`${model} does not exist: name a file made by seg-export --host-ready`);
}
server.listen(Number(values.port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
