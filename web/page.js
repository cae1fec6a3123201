/** What the visitor sees and does; the worker has the model. */

import { FILES } from "./files.js";
import { safetensors } from "./safetensors.js";
import { labelledStrip } from "./strip.js";

const REACH = 3; // standard deviations at the ends of a slider

const at = (id) => document.getElementById(id);
const state = {
  ready: false,
  name: "portrait", // of the picture, for files that are saved
  inversion: 0, // the number of the last one
  chosen: null, // a file that waits for the model
  found: null, // the number of the one that is shown as a whole
  pictures: [], // target, average, steps
  isRendering: false,
  isChanged: false, // a slider moved while a picture was rendered
};
let worker;

async function begin() {
  listExamples();
  listen();
  await keepOffline();
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => handlers[data.kind](data);
  worker.onerror = (event) => {
    event.preventDefault();
    fail(`The page failed, and can be loaded again: ${event.message ?? "its worker did not start"}`);
  };
  worker.postMessage({ kind: "load" });
}

/** Wait, but not for long, until the service worker sees what is fetched, and can keep it. */
async function keepOffline() {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  const controlled = new Promise((resolve) => {
    workers.addEventListener("controllerchange", resolve, { once: true });
    setTimeout(resolve, 3000);
  });
  const registered = await workers.register("service-worker.js").catch(() => null);
  if (registered && !workers.controller) await controlled;
}

const handlers = {
  progress({ received, total }) {
    at("progress").value = received / total;
    const [done, all] = [received, total].map((bytes) => (bytes / 1e6).toFixed(1));
    at("progress-text").textContent = `Loading the model and its engine: ${done} of ${all} MB`;
  },
  arrived() {
    at("progress").removeAttribute("value");
    at("progress-text").textContent = "Preparing the model";
  },
  ready({ name, licence, groups, gpu }) {
    at("loading").hidden = true;
    at("model").textContent = `Model: ${name} (${licence}).`;
    at("gpu").hidden = !gpu;
    listSliders(groups);
    state.ready = true;
    if (state.chosen) invert(state.chosen);
  },
  target({ picture }) {
    at("error").hidden = true;
    at("found").hidden = false;
    state.found = null;
    enable();
    at("steps").replaceChildren();
    state.pictures = [];
    clearSliders();
    show("target", picture);
    paint(at("before"), picture);
    paint(at("after"), picture);
    tell("Finding it ...");
  },
  step({ number, picture }) {
    show(number ? `step ${number}` : "average", picture);
    paint(at("after"), picture);
    if (number) tell(`Step ${number} ...`);
  },
  found({ id, seconds }) {
    state.found = id;
    enable();
    tell(`Found in ${seconds.toFixed(1)} seconds. Now move the sliders.`);
  },
  edited({ picture }) {
    state.isRendering = false;
    if (picture && state.found) paint(at("after"), picture);
    if (state.isChanged) edit();
  },
  latents({ isEdited, numbers, shape, about }) {
    const bytes = safetensors("ws", numbers, shape, about);
    save(new Blob([bytes]), `${state.name}${isEdited ? "_edited" : ""}.safetensors`);
  },
  gpu({ outcome }) {
    at("gpu").hidden = true;
    at("engine").textContent = outcome;
  },
  error({ text }) {
    state.isRendering = false;
    fail(text);
  },
};

function listen() {
  at("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) choose(target.files[0]);
    target.value = ""; // the same file can be chosen again
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault(); // a browser would open the file instead
      at("drop").classList.toggle("over", kind === "dragover");
      const file = kind === "drop" && event.dataTransfer.files[0];
      if (file) choose(file);
    });
  }
  document.addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData.files[0]) choose(clipboardData.files[0]);
  });
  at("reset").addEventListener("click", () => {
    clearSliders();
    edit();
  });
  at("save-picture").addEventListener("click", () => saveCanvas(at("after"), state.name));
  at("save-strip").addEventListener("click", saveStrip);
  at("save-latents").addEventListener("click", () => {
    worker.postMessage({ kind: "latents", strengths: strengths() });
  });
  at("gpu").addEventListener("click", () => {
    at("gpu").disabled = true;
    at("engine").textContent = "Loading WebGPU's engine (27 MB) and comparing a step ...";
    worker.postMessage({ kind: "gpu" });
  });
  enable();
}

function listExamples() {
  const paths = Object.keys(FILES).filter((path) => path.startsWith("examples/"));
  paths.forEach((path, number) => {
    const button = document.createElement("button");
    const image = document.createElement("img");
    Object.assign(image, { src: path, alt: `Portrait ${number + 1}` });
    Object.assign(button, { type: "button", ariaPressed: "false" });
    button.append(image);
    button.addEventListener("click", async () => {
      const response = await fetch(image.src).catch(() => null);
      if (!response?.ok) return fail("Expected the example, got no answer.");
      choose(new File([await response.blob()], path.split("/").pop()), button);
    });
    at("examples").append(button);
  });
}

function listSliders(groups) {
  Object.entries(groups).forEach(([heading, names], place) => {
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = heading;
    details.open = place < 2;
    details.append(summary, ...names.map(slider));
    at("sliders").append(details);
  });
  enable();
}

function slider(name) {
  const [row, label, input, output] = ["div", "label", "input", "output"].map((tag) =>
    document.createElement(tag),
  );
  row.className = "slider";
  label.textContent = name.replaceAll("_", " ");
  label.htmlFor = output.htmlFor = input.id = `slider-${name}`;
  output.textContent = "0.0";
  Object.assign(input, { type: "range", min: -REACH, max: REACH, step: 0.1, value: 0, name });
  input.addEventListener("input", () => {
    output.textContent = input.valueAsNumber.toFixed(1);
    edit();
  });
  row.append(label, input, output);
  return row;
}

const sliders = () => [...at("sliders").querySelectorAll("input")];
const strengths = () =>
  Object.fromEntries(sliders().map(({ name, valueAsNumber }) => [name, valueAsNumber]));

function clearSliders() {
  for (const input of sliders()) {
    input.value = 0;
    input.nextElementSibling.textContent = "0.0";
  }
}

function enable() {
  const controls = [...sliders(), ...at("actions").querySelectorAll("button")];
  for (const control of controls) control.disabled = !state.found;
}

function choose(file, button = null) {
  for (const other of at("examples").children) other.ariaPressed = String(other === button);
  state.name = file.name.replace(/\.[^.]*$/, "") || "portrait";
  if (state.ready) invert(file);
  else state.chosen = file;
}

function invert(file) {
  worker.postMessage({ kind: "invert", id: ++state.inversion, file });
}

/** Render what the sliders say; while one is rendered, only the last change is remembered. */
function edit() {
  state.isChanged = state.isRendering;
  if (state.isRendering || !state.found) return;
  state.isRendering = true;
  worker.postMessage({ kind: "edit", id: state.found, strengths: strengths() });
}

function show(label, picture) {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  const caption = document.createElement("figcaption");
  Object.assign(canvas, { role: "img", ariaLabel: label });
  caption.textContent = label;
  paint(canvas, picture);
  figure.append(canvas, caption);
  at("steps").append(figure);
  state.pictures.push({ label, canvas });
}

function paint(canvas, picture) {
  Object.assign(canvas, { width: picture.width, height: picture.height });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

function tell(text) {
  at("status").textContent = text;
}

function fail(text) {
  at("error").textContent = text;
  at("error").hidden = false;
  if (!state.ready) at("loading").hidden = true;
  tell("");
}

function saveStrip() {
  const isEdited = Object.values(strengths()).some(Boolean);
  const edited = isEdited ? [{ label: "edited", canvas: at("after") }] : [];
  saveCanvas(labelledStrip([...state.pictures, ...edited]), `${state.name}_strip`);
}

function saveCanvas(canvas, name) {
  canvas.toBlob((blob) => save(blob, `${name}.png`), "image/png");
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

begin();
