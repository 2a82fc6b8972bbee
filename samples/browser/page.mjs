// Pick an image, see what the model says. ONNX Runtime's WASM runs in a worker, so that the page stays alive meanwhile.
import { countLabels, maskPng, readExact } from "./pictures.mjs";

const $ = (id) => document.getElementById(id);
const worker = new Worker("./worker.mjs", { type: "module" });
let loaded = null; // { contract, threads, version }
let broken = null; // why the worker cannot be used
worker.onerror = (event) => (broken = new Error(event.message || "ONNX Runtime cannot be started in this browser"));

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
    const cancelled = error?.name === "AbortError";
    say(cancelled ? "Cancelled." : (error?.message ?? String(error)), !cancelled);
    if (cancelled) state = "ready";
  } finally {
    $("work").hidden = true;
    $("model").disabled = false;
    $("picker").disabled = !loaded;
    document.body.dataset.state = state;
  }
}

/** The result of a job of the worker, which takes over the buffer. */
function ask(job, input, buffer) {
  return new Promise((resolve, reject) => {
    if (broken) return reject(broken);
    worker.addEventListener("error", () => reject(broken), { once: true });
    worker.onmessage = ({ data: { progress, result, error } }) => {
      if (progress) [$("progress").value, $("progress").max] = progress;
      else if (error) reject(error);
      else resolve(result);
    };
    worker.postMessage({ job, input }, [buffer]);
  });
}

function say(text, isError = false) {
  $("message").textContent = text;
  $("message").className = isError ? "error" : "";
}

async function loadModel(bytes, name) {
  const size = `${(bytes.length / 1e6).toFixed(1)} MB`; // before the bytes move on to the worker
  loaded = await ask("load", bytes, bytes.buffer);
  $("model-name").textContent = `${name}, ${size}`;
}

async function segmentFile(file) {
  $("result").hidden = true;
  const { contract } = loaded;
  const image = await pixelsOf(file);
  const { width, height } = image;
  $("image-name").textContent = `${file.name}, ${width} × ${height} px`;
  draw($("image"), visible(image));
  $("overlay").width = 0; // the last image's labels do not belong here

  $("progress").removeAttribute("value");
  $("work").hidden = false;
  const start = performance.now();
  const labels = await ask("segment", image, image.data.buffer);
  const ms = performance.now() - start;

  draw($("overlay"), colored(labels, contract.answer.classes, { width, height }));
  showLegend(countLabels(labels, contract.answer.classes), contract.answer.classes);
  showTiming(ms, width * height);
  URL.revokeObjectURL($("save").href);
  $("save").href = URL.createObjectURL(await maskPng(labels, width, height));
  $("save").download = file.name.replace(/\.[^.]*$/, "") + "_mask.png";
  $("result").hidden = false;
}

/** The file's own grey values, see pictures.mjs: nothing premultiplied, no colour profile applied. */
export async function pixelsOf(file) {
  const exact = await readExact(new Uint8Array(await file.arrayBuffer()), file.name);
  if (exact) return exact;
  const options = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, options).catch(() => {
    throw new Error(`${file.name} is not an image that this browser can read: choose a PNG, JPEG, BMP, PGM, PPM or PFM`);
  });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  return { data, width, height, channels: 4 };
}

/** An image of any dtype for the screen, between its darkest and its brightest value if it has more than 8 bits. */
function visible({ data, width, height, channels }) {
  if (data instanceof Uint8ClampedArray) return new ImageData(data, width, height);
  let [low, high] = data instanceof Uint8Array ? [0, 255] : [Infinity, -Infinity];
  if (!(data instanceof Uint8Array)) for (const value of data) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const picture = new ImageData(width, height);
  const colours = channels > 2 ? 1 : 0;
  for (let at = 0; at < width * height; at++) {
    const shown = (channel) => ((data[at * channels + channel * colours] - low) * 255) / (high - low || 1);
    picture.data.set([shown(0), shown(1), shown(2), 255], 4 * at);
  }
  return picture;
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

function showTiming(ms, pixels) {
  const rows = {
    Segmentation: `${ms.toFixed(0)} ms`,
    Throughput: `${(pixels / 1e3 / ms).toFixed(2)} MPixel/s`,
    Threads: loaded.threads,
    "ONNX Runtime Web": loaded.version,
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
$("cancel").onclick = () => worker.postMessage({ job: "cancel" });

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
