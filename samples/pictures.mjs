// Pictures as the model takes them, and masks as seg-run writes them. Node and the browser page share this file.
//
// An image is { data, width, height, channels }: a Uint8Array, Uint16Array or Float32Array of grey values, row by row. Two or
// four channels include transparency.

const DTYPES = { Uint8Array: "uint8", Uint8ClampedArray: "uint8", Uint16Array: "uint16", Float32Array: "float32" };

/** The grey values in the dtype and the channels of a model, refusing what would lose something, as Python's runtime does. */
export function fitted({ data, channels: given }, contract) {
  const dtype = DTYPES[data.constructor.name];
  const { channels } = contract.input;
  if (dtype !== contract.file.dtype) {
    const wanted = `the model takes ${contract.file.dtype}: convert it, or export with --host-dtype ${dtype}`;
    throw new Error(`the image has ${dtype} grey values, ${wanted}`);
  }
  if (given === channels) return data;
  const opaque = dtype === "uint16" ? 65535 : 255; // pictures of floats have no transparency here
  const colours = given - (given % 2 === 0); // without transparency: 1 or 3
  const Values = dtype === "uint8" ? Uint8Array : data.constructor; // not the clamped one of a canvas
  const pixels = new Values((data.length / given) * channels);
  for (let from = 0, to = 0; from < data.length; from += given) {
    if (given !== colours && data[from + colours] !== opaque) {
      throw new Error("the image has transparent pixels: flatten it on a background first");
    }
    const [red, green, blue] = [data[from], data[from + (colours > 1)], data[from + 2 * (colours > 1)]];
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

/** The image of a file that a browser cannot read, or cuts to 8 bits: Netpbm (P5, P6, Pf, PF), or PNG of 16 bits. Else null. */
export async function readExact(bytes, name) {
  const kind = String.fromCharCode(...bytes.subarray(0, 2));
  if (["P5", "P6", "Pf", "PF"].includes(kind)) return readNetpbm(bytes, name);
  const isPng = [0x89, 0x50, 0x4e, 0x47].every((byte, at) => bytes[at] === byte);
  return isPng && bytes[24] === 16 ? readPng16(bytes, name) : null;
}

function readNetpbm(bytes, name) {
  const head = /^P([56fF])(?:\s|#.*\n)+(\d+)(?:\s|#.*\n)+(\d+)(?:\s|#.*\n)+([-\d.]+)\s/.exec(
    String.fromCharCode(...bytes.subarray(0, 1000)), // one character for each byte
  );
  if (!head) throw new Error(`${name} has no valid header: save it again`);
  const [width, height, scale] = [head[2], head[3], head[4]].map(Number);
  const floats = "fF".includes(head[1]);
  const channels = "6F".includes(head[1]) ? 3 : 1;
  if (!floats && ![255, 65535].includes(scale)) {
    throw new Error(`${name} has the maximum ${scale}; expected 255 or 65535. Scale it as the training images were`);
  }
  const Values = floats ? Float32Array : scale === 255 ? Uint8Array : Uint16Array;
  const data = new Values(width * height * channels);
  if (bytes.length - head[0].length < data.byteLength) throw new Error(`${name} is cut short`);
  const view = new DataView(bytes.buffer, bytes.byteOffset + head[0].length);
  const value = floats
    ? (at) => view.getFloat32(4 * at, scale < 0)
    : scale === 255
      ? (at) => view.getUint8(at)
      : (at) => view.getUint16(2 * at);
  const row = width * channels;
  for (let at = 0; at < data.length; at++) {
    const y = Math.floor(at / row);
    data[(floats ? height - 1 - y : y) * row + (at % row)] = value(at); // a PFM starts with its last row
  }
  return { data, width, height, channels };
}

/** A PNG whose channels have 16 bits each: no palette, as the PNG specification says. */
async function readPng16(bytes, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const parts = [];
  let at = 8;
  for (; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === 0x49444154) parts.push(bytes.subarray(at + 8, at + 8 + view.getUint32(at))); // IDAT
  }
  const [width, height, kind] = [view.getUint32(16), view.getUint32(20), bytes[25]];
  const channels = { 0: 1, 2: 3, 4: 2, 6: 4 }[kind];
  if (bytes[28]) throw new Error(`${name} is an interlaced PNG of 16 bits: save it without interlacing`);
  const unpacked = new Response(new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate")));
  const rows = new Uint8Array(await unpacked.arrayBuffer().catch(() => new ArrayBuffer(0)));
  const size = 2 * channels; // bytes of a pixel
  const length = width * size;
  if (rows.length < height * (length + 1)) throw new Error(`${name} cannot be read as PNG: it is cut short or damaged`);
  const data = new Uint16Array(width * height * channels);
  let above = new Uint8Array(length);
  for (let y = 0; y < height; y++) {
    const row = rows.subarray(y * (length + 1) + 1, (y + 1) * (length + 1));
    unfilter(rows[y * (length + 1)], row, above, size);
    for (let x = 0; x < width * channels; x++) data[y * width * channels + x] = (row[2 * x] << 8) | row[2 * x + 1];
    above = row;
  }
  return { data, width, height, channels };
}

/** Undo the filter of a PNG row in place: none, left, above, their mean, or Paeth's choice. */
function unfilter(filter, row, above, size) {
  for (let x = 0; x < row.length; x++) {
    const left = x < size ? 0 : row[x - size];
    const corner = x < size ? 0 : above[x - size];
    row[x] += [0, left, above[x], (left + above[x]) >> 1, paeth(left, above[x], corner)][filter];
  }
}

function paeth(left, above, corner) {
  const [a, b, c] = [Math.abs(above - corner), Math.abs(left - corner), Math.abs(left + above - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

/** How many pixels each class has. */
export function countLabels(labels, classes) {
  const counts = new Array(classes.length).fill(0);
  for (const label of labels) counts[label]++;
  return counts;
}

/** The mask as seg-run writes it: a grey PNG whose pixel values are class indices, or the numbers of a Uint16Array. */
export async function maskPng(labels, width, height) {
  const size = labels.BYTES_PER_ELEMENT;
  const bytes = size === 1 ? labels : bigEndian(labels);
  const row = width * size;
  const rows = new Uint8Array(height * (row + 1)); // each row starts with its filter, 0 for none
  for (let y = 0; y < height; y++) rows.set(bytes.subarray(y * row, (y + 1) * row), y * (row + 1) + 1);
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint16(8, 0x0800 * size); // bits, grey
  return new Blob([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    pngChunk("IHDR", new Uint8Array(header.buffer)),
    pngChunk("IDAT", new Uint8Array(await new Response(packed).arrayBuffer())),
    pngChunk("IEND", new Uint8Array()),
  ]);
}

function bigEndian(values) {
  const view = new DataView(new ArrayBuffer(2 * values.length));
  values.forEach((value, at) => view.setUint16(2 * at, value));
  return new Uint8Array(view.buffer);
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
