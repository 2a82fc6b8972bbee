// ONNX Runtime and the images that it works on, beside the page, so that the page stays alive.
import * as ort from "./ort/ort.wasm.min.mjs";
import { openModel, segment } from "./host_ready.mjs";

ort.env.wasm.wasmPaths = "/ort/";
// Threads share memory, which browsers allow on isolated pages only: see the headers in serve.mjs.
ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency) : 1;

let loaded = null; // { contract, session, growth }
let cancel = null;

const jobs = {
  async load(bytes) {
    const opened = await openModel(ort, bytes, { executionProviders: ["wasm"] });
    await loaded?.session.release();
    await loaded?.growth?.release();
    loaded = opened;
    return { contract: opened.contract, threads: ort.env.wasm.numThreads, version: ort.env.versions.web };
  },

  async segment(image) {
    cancel = new AbortController();
    const progress = (done, total) => postMessage({ progress: [done, total] });
    return (await segment(ort, loaded, image, { progress, signal: cancel.signal })).labels;
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
