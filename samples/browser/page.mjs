// Pick an image, see what the model says. ONNX Runtime's WASM runs in a worker, so that the page stays alive meanwhile.
import * as ort from "./ort/ort.wasm.min.mjs";
import { countLabels, maskPng, readContract, segment } from "./host_ready.mjs";

ort.env.wasm.wasmPaths = "/ort/";
ort.env.wasm.proxy = true;
// Threads share memory, which browsers allow on isolated pages only: see the headers in serve.mjs.
ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency) : 1;

const $ = (id) => document.getElementById(id);
let loaded = null; // { session, contract }

/** Run one job at a time; whatever goes wrong is told in the page. */
async function job(doing, work) {
  say(doing);
  document.body.dataset.state = "busy";
  for (const input of [$("model"), $("picker")]) input.disabled = true;
  let state = "error";
  try {
    await work();
    say("");
    state = "ready";
  } catch (error) {
    say(error?.message ?? String(error), true);
  } finally {
    $("model").disabled = false;
    $("picker").disabled = !loaded;
    document.body.dataset.state = state;
  }
}

function say(text, isError = false) {
  $("message").textContent = text;
  $("message").className = isError ? "error" : "";
}

async function loadModel(bytes, name) {
  const contract = readContract(bytes);
  const size = `${(bytes.length / 1e6).toFixed(1)} MB`; // before the bytes move on to the worker
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  await loaded?.session.release();
  loaded = { session, contract };
  $("model-name").textContent = `${name}, ${size}`;
}

async function segmentFile(file) {
  $("result").hidden = true;
  const { session, contract } = loaded;
  const image = await pixelsOf(file);
  $("image-name").textContent = `${file.name}, ${image.width} × ${image.height} px`;
  draw($("image"), image);
  $("overlay").width = 0; // the last image's labels do not belong here

  const start = performance.now();
  const labels = await segment(ort, session, contract, image);
  const ms = performance.now() - start;

  draw($("overlay"), colored(labels, contract.answer.classes, image));
  showLegend(countLabels(labels, contract.answer.classes), contract.answer.classes);
  showTiming(ms, image);
  URL.revokeObjectURL($("save").href);
  $("save").href = URL.createObjectURL(await maskPng(labels, image.width, image.height, contract.answer.classes));
  $("save").download = file.name.replace(/\.[^.]*$/, "") + "_mask.png";
  $("result").hidden = false;
}

/** The file's own grey values as RGBA: nothing premultiplied, no colour profile applied. */
export async function pixelsOf(file) {
  const head = new DataView(await file.slice(0, 26).arrayBuffer());
  if (head.byteLength === 26 && head.getUint32(0) === 0x89504e47 && head.getUint8(24) > 8) {
    throw new Error(`${file.name} has 16 bits a channel, which a browser cuts to 8: save 8 bits`);
  }
  const exact = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, exact).catch(() => {
    throw new Error(`${file.name} is not an image that this browser can read: choose a PNG, JPEG or BMP`);
  });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Labels as opaque class colours; the background stays clear. The slider sets the canvas's opacity. */
function colored(labels, classes, { width, height }) {
  const picture = new ImageData(width, height);
  labels.forEach((label, at) => {
    if (label) picture.data.set([...classes[label].color, 255], 4 * at);
  });
  return picture;
}

function draw(canvas, picture) {
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").putImageData(picture, 0, 0);
  $("hint").hidden = true;
  $("picture").hidden = false;
  fit();
}

/** As large as the stage allows, the aspect kept. */
function fit() {
  const { clientWidth, clientHeight } = $("stage");
  const { width, height } = $("image");
  const scale = Math.min((clientWidth - 48) / width, (clientHeight - 48) / height);
  Object.assign($("picture").style, { width: `${width * scale}px`, height: `${height * scale}px` });
}

function showLegend(counts, classes) {
  const total = counts.reduce((sum, count) => sum + count);
  $("legend").replaceChildren(
    ...classes.map(({ name, color }, index) => {
      const swatch = element("span", "");
      swatch.className = "swatch";
      swatch.style.background = `rgb(${color.join()})`;
      return element("li", swatch, element("span", name), element("span", `${((100 * counts[index]) / total).toFixed(1)} %`));
    }),
  );
}

function showTiming(ms, { width, height }) {
  const rows = {
    Segmentation: `${ms.toFixed(0)} ms`,
    Throughput: `${((width * height) / 1e3 / ms).toFixed(2)} MPixel/s`,
    Threads: ort.env.wasm.numThreads,
    "ONNX Runtime Web": ort.env.versions.web,
  };
  $("timing").replaceChildren(...Object.entries(rows).map(([k, v]) => element("div", element("dt", k), element("dd", v))));
}

/** Text goes in as text: names of classes and files are never read as HTML. */
function element(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}

$("opacity").oninput = () => ($("overlay").style.opacity = $("opacity").value / 100);
$("opacity").oninput();
window.onresize = fit;

for (const [id, doing, work] of [
  ["model", "Loading the model …", async (file) => loadModel(new Uint8Array(await file.arrayBuffer()), file.name)],
  ["picker", "Segmenting …", segmentFile],
]) {
  $(id).onchange = () => {
    const [file] = $(id).files;
    $(id).value = ""; // the same file can be picked again
    if (file) job(doing, () => work(file));
  };
}

window.ondragover = (event) => {
  event.preventDefault();
  $("stage").classList.add("over");
};
window.ondragleave = () => $("stage").classList.remove("over");
window.ondrop = (event) => {
  event.preventDefault();
  $("stage").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file && !$("picker").disabled) job("Segmenting …", () => segmentFile(file));
};

const served = await fetch("/model.onnx");
if (served.status === 200) {
  await job("Loading the model …", async () => loadModel(new Uint8Array(await served.arrayBuffer()), "model.onnx"));
} else {
  document.body.dataset.state = "ready";
}
