// All that a JavaScript host needs besides ONNX Runtime itself. Node and the browser page share this file.
//
// A host-ready model takes `image`, uint8 (H, W, C), of any size, and answers `labels`, uint8 (H, W). Scaling, tiling,
// stitching and the decision are inside the file, so there is nothing to re-write here and nothing to get wrong.

/** The model's contract: its classes with names and colours, its channels. `model` is the file's content, a Uint8Array. */
export function readContract(model) {
  const text = new TextDecoder();
  for (const [field, entry] of protobufFields(model)) {
    if (field !== 14) continue; // ModelProto.metadata_props
    const { 1: key, 2: value } = Object.fromEntries(protobufFields(entry));
    if (text.decode(key) === "seg_edge.contract") return checked(JSON.parse(text.decode(value)));
  }
  throw new Error("the model carries no contract: make it with seg-export --host-ready");
}

function checked(contract) {
  if (contract.file?.kind !== "host-ready") {
    throw new Error("the model takes single windows, not whole images: export it with seg-export --host-ready");
  }
  const { dtype } = contract.file;
  const { channels } = contract.input;
  if (dtype !== "uint8" || ![1, 3].includes(channels)) {
    const came = `${dtype} images of ${channels} channels`;
    throw new Error(`the model wants ${came}; this sample knows uint8 with 1 or 3`);
  }
  return contract;
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

/** Labels (a Uint8Array of height × width class indices) of RGBA pixels. `ort` is onnxruntime-node or onnxruntime-web. */
export async function segment(ort, session, contract, { data, width, height }) {
  const { channels } = contract.input;
  const image = new ort.Tensor("uint8", withoutAlpha(data, channels), [height, width, channels]);
  const { labels } = await session.run({ image }, ["labels"]);
  return labels.data;
}

/** RGBA -> RGB or grey, refusing what would lose something, as Python's runtime does. */
function withoutAlpha(rgba, channels) {
  const pixels = new Uint8Array((rgba.length / 4) * channels);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    const [red, green, blue] = [rgba[from], rgba[from + 1], rgba[from + 2]];
    if (rgba[from + 3] !== 255) throw new Error("the image has transparent pixels: flatten it on a background first");
    pixels[to++] = red;
    if (channels === 3) {
      pixels[to++] = green;
      pixels[to++] = blue;
    } else if (red !== green || red !== blue) {
      throw new Error("the image is in colour, the model was trained on grey: convert it as the training images were");
    }
  }
  return pixels;
}

/** How many pixels each class has. */
export function countLabels(labels, classes) {
  const counts = new Array(classes.length).fill(0);
  for (const label of labels) counts[label]++;
  return counts;
}

/** The mask as seg-run writes it: a PNG whose pixel value is the class index and whose palette holds the class colours. */
export async function maskPng(labels, width, height, classes) {
  const rows = new Uint8Array(height * (width + 1)); // each row starts with its filter, 0 for none
  for (let y = 0; y < height; y++) rows.set(labels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint16(8, 0x0803); // 8 bits, palette
  return new Blob([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    pngChunk("IHDR", new Uint8Array(header.buffer)),
    pngChunk("PLTE", Uint8Array.from(classes.flatMap((c) => c.color))),
    pngChunk("IDAT", new Uint8Array(await new Response(packed).arrayBuffer())),
    pngChunk("IEND", new Uint8Array()),
  ]);
}

function pngChunk(name, content) {
  const chunk = new Uint8Array(content.length + 12);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, content.length);
  chunk.set(new TextEncoder().encode(name), 4);
  chunk.set(content, 8);
  view.setUint32(content.length + 8, crc32(chunk.subarray(4, content.length + 8)));
  return chunk;
}

function crc32(bytes) {
  let crc = ~0; // CRC-32 as the PNG specification writes it, bit by bit
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
