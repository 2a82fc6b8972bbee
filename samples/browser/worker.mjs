// ONNX Runtime and the images that it works on, beside the page, so that the page stays alive.
import * as ort from "./ort/ort.wasm.min.mjs";
import { checkSession, readContract, segment } from "./host_ready.mjs";

ort.env.wasm.wasmPaths = "/ort/";
// Threads share memory, which browsers allow on isolated pages only: see the headers in serve.mjs.
ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency) : 1;

let loaded = null; // { session, contract }
let cancel = null;

const jobs = {
  async load(bytes) {
    const contract = await readContract(bytes);
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    checkSession(session);
    await loaded?.session.release();
    loaded = { session, contract };
    return { contract, threads: ort.env.wasm.numThreads, version: ort.env.versions.web };
  },

  async segment(image) {
    cancel = new AbortController();
    const progress = (done, total) => postMessage({ progress: [done, total] });
    return segment(ort, loaded.session, loaded.contract, image, { progress, signal: cancel.signal });
  },
};

onmessage = async ({ data: { job, input } }) => {
  if (job === "cancel") return cancel?.abort();
  try {
    const result = await jobs[job](input);
    postMessage({ result }, result.buffer ? [result.buffer] : []);
  } catch (error) {
    postMessage({ error: { name: error?.name, message: error?.message ?? String(error) } });
  }
};
