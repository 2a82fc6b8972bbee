// node segment.mjs MODEL.onnx IMAGE.png MASK.png
//
// The image is a PNG of 8 or 16 bits, or a PGM, PPM or PFM, as the model takes it.
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { PNG } from "pngjs";
import { checkSession, readContract, segment } from "../host_ready.mjs";
import { maskPng, readExact } from "../pictures.mjs";

process.env.ORT_DISABLE_TELEMETRY = "1"; // read when ONNX Runtime is loaded, hence the dynamic import
const ort = await import("onnxruntime-node");

async function main([modelPath, imagePath, maskPath]) {
  if (!maskPath) throw new Error("usage: node segment.mjs MODEL.onnx IMAGE.png MASK.png");
  const cancel = new AbortController();
  process.once("SIGINT", () => cancel.abort(Object.assign(new Error("cancelled, no mask was written"), { exitCode: 130 })));

  const model = await readFile(modelPath);
  const contract = await readContract(model);
  const session = await ort.InferenceSession.create(model, { executionProviders: ["cpu"], logSeverityLevel: 4 });
  checkSession(session);

  const image = await readImage(await readFile(imagePath), imagePath);
  const start = performance.now();
  const labels = await segment(ort, session, contract, image, { progress: showProgress, signal: cancel.signal });
  const ms = performance.now() - start;

  const mask = await maskPng(labels, image.width, image.height);
  await writeWhole(maskPath, Buffer.from(await mask.arrayBuffer()));
  console.log(`${maskPath}: ${image.width}x${image.height} px, ${ms.toFixed(1)} ms, onnxruntime-node ${ort.env.versions.node}`);
}

async function readImage(bytes, name) {
  const exact = await readExact(bytes, name);
  if (exact) return exact;
  try {
    const { data, width, height } = PNG.sync.read(bytes); // RGBA of 8 bits, whatever the file holds
    return { data: new Uint8Array(data.buffer, data.byteOffset, data.length), width, height, channels: 4 };
  } catch (error) {
    throw new Error(`${name} cannot be read as PNG (${error.message})`);
  }
}

function showProgress(done, total) {
  if (process.stderr.isTTY) process.stderr.write(`${done} of ${total} windows${done < total ? "\r" : "\n"}`);
}

/** A mask appears whole or not at all. */
async function writeWhole(path, bytes) {
  const beside = `${path}.${process.pid}.partial`;
  try {
    await writeFile(beside, bytes, { flag: "wx" });
    await rename(beside, path);
  } finally {
    await rm(beside, { force: true });
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`error: ${error.message.replaceAll(/\s+/g, " ")}`);
  process.exitCode = error.exitCode ?? 1;
});
