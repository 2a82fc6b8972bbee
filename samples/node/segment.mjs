// node segment.mjs MODEL.onnx IMAGE.png MASK.png
//
// The image is a PNG of 8 or 16 bits, or a PGM, PPM or PFM, as the model takes it. The mask holds class indices, or the numbers
// of objects as 16 bits if the model separates them.
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { PNG } from "pngjs";
import { openModel, segment } from "../host_ready.mjs";
import { maskPng, readExact } from "../pictures.mjs";

process.env.ORT_DISABLE_TELEMETRY = "1"; // read when ONNX Runtime is loaded, hence the dynamic import
const ort = await import("onnxruntime-node");

async function main([modelPath, imagePath, maskPath]) {
  if (!maskPath) throw new Error("usage: node segment.mjs MODEL.onnx IMAGE.png MASK.png");
  const cancel = new AbortController();
  process.once("SIGINT", () => cancel.abort(Object.assign(new Error("cancelled, no mask was written"), { exitCode: 130 })));

  const model = await openModel(ort, await readFile(modelPath), { executionProviders: ["cpu"], logSeverityLevel: 4 });
  const image = await readImage(await readFile(imagePath), imagePath);
  const start = performance.now();
  const { labels, objects } = await segment(ort, model, image, { progress: showProgress, signal: cancel.signal });
  const ms = performance.now() - start;

  const mask = await maskPng(objects ? sixteenBits(objects) : labels, image.width, image.height);
  await writeWhole(maskPath, Buffer.from(await mask.arrayBuffer()));
  const count = objects ? `${objects.reduce((most, id) => Math.max(most, id), 0)} objects, ` : "";
  console.log(`${maskPath}: ${count}${image.width}x${image.height} px, ${ms.toFixed(1)} ms, onnxruntime-node ${ort.env.versions.node}`);
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

function sixteenBits(objects) {
  if (objects.some((id) => id > 65535)) throw new Error("there are more than 65535 objects, which a PNG cannot number");
  return Uint16Array.from(objects);
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
