// node segment.mjs MODEL.onnx IMAGE.png MASK.png
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { PNG } from "pngjs";
import { maskPng, readContract, segment } from "../host_ready.mjs";

process.env.ORT_DISABLE_TELEMETRY = "1"; // read when ONNX Runtime is loaded, hence the dynamic import
const ort = await import("onnxruntime-node");

async function main([modelPath, imagePath, maskPath]) {
  if (!maskPath) throw new Error("usage: node segment.mjs MODEL.onnx IMAGE.png MASK.png");
  const model = await readFile(modelPath);
  const contract = readContract(model);
  const session = await ort.InferenceSession.create(model, { executionProviders: ["cpu"], logSeverityLevel: 4 });

  const image = readPng(await readFile(imagePath), imagePath);
  const start = performance.now();
  const labels = await segment(ort, session, contract, image);
  const ms = performance.now() - start;

  const mask = await maskPng(labels, image.width, image.height, contract.answer.classes);
  await writeWhole(maskPath, Buffer.from(await mask.arrayBuffer()));
  console.log(`${maskPath}: ${image.width}x${image.height} px, ${ms.toFixed(1)} ms, onnxruntime-node ${ort.env.versions.node}`);
}

/** RGBA pixels, whatever the file holds. */
function readPng(bytes, name) {
  let image;
  try {
    image = PNG.sync.read(bytes);
  } catch (error) {
    throw new Error(`${name} cannot be read as PNG (${error.message})`);
  }
  if (image.depth > 8) throw new Error(`${name} has ${image.depth} bits a channel, which would be cut to 8: save 8 bits`);
  return image;
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
  process.exitCode = 1;
});
