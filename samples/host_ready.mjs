// All that a JavaScript host needs besides ONNX Runtime itself. Node and the browser page share this file.
//
// A host-ready model takes `image` (H, W, C) of any size, and `origin`, the place of a window. It answers the `labels` of that
// window and `next_origin`. Scaling, tiling, stitching and the decision are inside the file, so there is nothing to re-write
// here and nothing to get wrong. A model of objects answers `planes` in place of labels, and brings a second model in its
// metadata, which grows the objects from the planes of the whole image.
import { fitted } from "./pictures.mjs";

/**
 * Check and load a model: { contract, session, growth }. The contract holds the classes with names and colours, and the
 * channels; `growth` is the session that grows objects, or null.
 *
 * `ort` is onnxruntime-node or onnxruntime-web, `model` the file's content, a Uint8Array, and `options` those of a session.
 */
export async function openModel(ort, model, options) {
  const found = metadata(model);
  await checkDigest(model);
  if (!found["seg_edge.contract"]) throw new Error("the model carries no contract: make it with seg-export --host-ready");
  const contract = checked(JSON.parse(found["seg_edge.contract"]));
  const session = await ort.InferenceSession.create(model, options);
  const second = found["seg_edge.growth"];
  checkSession(session, second);
  const one = { ...options, intraOpNumThreads: 1 }; // it has many small steps
  const growth = second ? await ort.InferenceSession.create(fromBase64(second), one) : null;
  return { contract, session, growth };
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function metadata(model) {
  const text = new TextDecoder();
  const found = {};
  for (const [field, entry] of protobufFields(model)) {
    if (field !== 14) continue; // ModelProto.metadata_props
    const { 1: key, 2: value } = Object.fromEntries(protobufFields(entry));
    found[text.decode(key)] = text.decode(value);
  }
  return found;
}

/** The last bytes of a file are a metadata entry with the SHA-256 of all bytes before it, which ONNX Runtime ignores. */
async function checkDigest(model) {
  if (!globalThis.crypto?.subtle) {
    throw new Error("the digest of the model cannot be checked on this page: open it by https, or from localhost");
  }
  const entry = (hex) => new TextEncoder().encode(`\x72\x53\x0a\x0fseg_edge.sha256\x12\x40${hex}`);
  const end = model.length - entry("0".repeat(64)).length;
  const same = (bytes) => bytes.every((byte, at) => byte === model[end + at]);
  if (end < 0 || !same(entry(""))) {
    throw new Error("the model does not end with its digest, so it is cut short or not made by seg-export: copy or export it again");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", model.subarray(0, end)));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (!same(entry(hex))) {
    throw new Error("the model was changed or damaged, since its digest differs: copy or export it again");
  }
}

function checked(contract) {
  if (contract.file?.kind !== "host-ready") {
    throw new Error("the model takes single windows, not whole images: export it with seg-export --host-ready");
  }
  const { channels } = contract.input;
  if (![1, 3].includes(channels)) {
    throw new Error(`the model takes images of ${channels} channels; this sample reads 1 or 3`);
  }
  return contract;
}

/** Refuse a file of an older seg-export, which took no origin, or brought nothing to grow its objects with. */
function checkSession(session, growth) {
  if (!session.inputNames.includes("origin")) {
    throw new Error("the model was exported by an older seg-export: export it again");
  }
  if (session.outputNames.includes("planes") && !growth) {
    throw new Error("the model separates objects, but the file does not contain the model that grows them: export it again");
  }
}

/** ONNX files are protocol buffers: each length-delimited field as [number, bytes]; the others are stepped over. */
function* protobufFields(bytes) {
  let at = 0;
  const varint = () => {
    for (let value = 0, scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new Error("the model is not an ONNX file, or is cut short");
  };
  while (at < bytes.length) {
    const tag = varint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    const size = { 0: () => (varint(), 0), 1: () => 8, 2: varint, 5: () => 4 }[wire]?.() ?? NaN;
    if (!(at + size <= bytes.length)) throw new Error("the model is not an ONNX file, or is cut short");
    if (wire === 2) yield [field, bytes.subarray(at, at + size)];
    at += size;
  }
}

/**
 * Labels (a Uint8Array of height × width class indices) of an image, see pictures.mjs, and objects (an Int32Array of their
 * numbers from 1, 0 for none), or null if the model does not separate them.
 *
 * `model` is that of `openModel`. `progress(done, total)` is called after each window; an AbortSignal ends the work before the
 * next one.
 */
export async function segment(ort, { session, contract, growth }, image, { progress, signal } = {}) {
  const { width, height } = image;
  const name = growth ? "planes" : "labels";
  const { channels } = contract.input;
  const feeds = {
    image: new ort.Tensor(contract.file.dtype, fitted(image, contract), [height, width, channels]),
    origin: new ort.Tensor("int64", [0n, 0n], [2]),
    statistics: new ort.Tensor("float32", [], [0, channels]), // of the whole image; the first window computes them
  };
  const results = new Uint8Array((growth ? 3 : 1) * width * height);
  while (feeds.origin.data[0] >= 0n) {
    signal?.throwIfAborted();
    const found = await session.run(feeds, [name, "next_origin", "next_statistics", "progress"]);
    place(found[name], feeds.origin, results, width, height);
    [feeds.origin, feeds.statistics] = [found.next_origin, found.next_statistics];
    progress?.(...Array.from(found.progress.data, Number));
    await new Promise((resume) => setTimeout(resume)); // for a click on Cancel, or for Ctrl-C
  }
  if (!growth) return { labels: results, objects: null };
  const grown = await growth.run({ planes: new ort.Tensor("uint8", results, [3, height, width]) });
  return { labels: grown.classes.data, objects: grown.objects.data };
}

/** Copy a part (rows, columns), or several planes of it, to its place. */
function place(part, origin, results, width, height) {
  const [top, left] = Array.from(origin.data, Number);
  const [rows, columns] = part.dims.slice(-2);
  for (let row = 0; row * columns < part.data.length; row++) {
    const [plane, inside] = [Math.floor(row / rows), row % rows];
    results.set(part.data.subarray(row * columns, (row + 1) * columns), (plane * height + top + inside) * width + left);
  }
}
