/** Runs the model beside the page, which thus never freezes; messages have a `kind`. */

import * as ort from "./ort/ort.wasm.min.mjs";
import { ShownError } from "./errors.js";
import { FILES } from "./files.js";
import { Model, checkHash, readFacts } from "./model.js";
import { toImageData, toTarget } from "./pictures.js";

const STEPS = 5;
const GRAPHS = ["encoder.onnx", "generator.onnx"];
const ENGINE = "ort/ort-wasm-simd-threaded";
const SIMD = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0], // a function of v128
  ...[10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11], // i8x16.popcnt(i8x16.splat(0))
);
const PATIENCE = 30_000; // milliseconds for WebGPU's first step, which builds its programs
const AGREE = 1e-2; // how far WebGPU's codes and picture may lie from WASM's

let model;
let graphs;
let found = { id: 0, codes: [] }; // of an inversion, after every step
let latest = 0; // the inversion that was asked for last
let tasks = Promise.resolve();

self.onmessage = ({ data }) => {
  if (data.kind === "invert") latest = data.id;
  tasks = tasks.then(() => handlers[data.kind](data)).catch(report);
};

const handlers = {
  async load() {
    const url = (path) => new URL(path, import.meta.url).href;
    if (!WebAssembly.validate(SIMD)) {
      throw new ShownError("Expected a browser with SIMD in WebAssembly, got an older one.");
    }
    if (!self.crypto?.subtle) {
      throw new ShownError("Expected an address with https, or of this machine, got another.");
    }
    ort.env.wasm.wasmPaths = { mjs: url(`${ENGINE}.mjs`), wasm: url(`${ENGINE}.wasm`) };
    const facts = readFacts(await (await get("model/model.json")).text());
    graphs = await downloadAll(facts);
    postMessage({ kind: "arrived" });
    model = await open(ort, facts, ["wasm"]);
    await model.start(); // the browser compiles what is run, so that steps are quick
    const { name, licence, groups } = facts;
    postMessage({ kind: "ready", name, licence, groups, gpu: await hasGpu() });
  },

  async invert({ id, file }) {
    if (id !== latest) return;
    const began = performance.now();
    const target = await toTarget(file, model.facts.domain.input_size);
    const dims = [3, ...model.facts.domain.input_size];
    postMessage({ kind: "target", picture: toImageData({ data: target, dims }) });
    const codes = [];
    for await (const { ws, image } of model.steps(target, STEPS)) {
      codes.push(ws);
      postMessage({ kind: "step", number: codes.length - 1, picture: toImageData(image) });
      await new Promise((resolve) => setTimeout(resolve)); // so that newer messages are seen
      if (id !== latest) return;
    }
    found = { id, codes };
    postMessage({ kind: "found", id, seconds: (performance.now() - began) / 1000 });
  },

  async edit({ id, strengths }) {
    if (id !== found.id) return postMessage({ kind: "edited" }); // another picture came before it
    const { image } = await model.render(model.edited(found.codes.at(-1), strengths));
    postMessage({ kind: "edited", picture: toImageData(image) });
  },

  /** Give the codes after every step; those that were edited, if a strength is not zero. */
  latents({ strengths }) {
    const isEdited = Object.values(strengths).some(Boolean);
    const rows = isEdited ? [model.edited(found.codes.at(-1), strengths)] : found.codes;
    const numbers = new Float32Array(rows.flatMap((ws) => [...ws]));
    const { name, model_sha256 } = model.facts;
    const shape = [rows.length, model.rows, model.columns];
    const about = { model: name, model_sha256, steps: String(STEPS), fit: "crop" };
    postMessage({ kind: "latents", isEdited, numbers, shape, about });
  },

  /** Go over to WebGPU, if a step there gives what it gives here. */
  async gpu() {
    postMessage({ kind: "gpu", outcome: await moved() });
  },
};

function report(error) {
  if (error instanceof ShownError) return postMessage({ kind: "error", text: error.message });
  console.warn(error);
  const isMemory = error instanceof RangeError || /memory|alloc/i.test(String(error));
  const text = isMemory
    ? "Expected memory for the model, got too little: close other tabs, and load the page again."
    : `The page failed, and can be loaded again: ${String(error?.message ?? error).slice(0, 200)}`;
  postMessage({ kind: "error", text });
}

/** Fetch the graphs, which are checked, and the engine, which the cache keeps. */
async function downloadAll(facts) {
  const paths = [...GRAPHS.map((name) => `model/${name}`), `${ENGINE}.wasm`];
  const total = paths.reduce((sum, path) => sum + FILES[path], 0);
  let received = 0;
  const tell = (bytes) => postMessage({ kind: "progress", received: (received += bytes), total });
  const files = await Promise.all(paths.map((path) => download(path, tell)));
  await Promise.all(GRAPHS.map((name, at) => checkHash(name, files[at], facts)));
  return files.slice(0, GRAPHS.length);
}

async function get(path) {
  const response = await fetch(path).catch(() => null);
  if (response?.ok) return response;
  const got = response ? `status ${response.status}` : "no answer";
  throw new ShownError(`${path}: expected a file, got ${got}; load the page again.`);
}

async function download(path, tell) {
  const reader = (await get(path)).body.getReader();
  const bytes = new Uint8Array(FILES[path]);
  let length = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (length + part.value.length > bytes.length) break; // a changed file, as its hash will tell
    bytes.set(part.value, length);
    length += part.value.length;
    tell(part.value.length);
  }
  return bytes.subarray(0, length);
}

async function open(runtime, facts, executionProviders) {
  const sessions = [];
  for (const graph of graphs) {
    sessions.push(await runtime.InferenceSession.create(graph, { executionProviders }));
  }
  return new Model(runtime, facts, ...sessions);
}

/** Tell whether there is a GPU, and not a program in its stead, which is slower than WASM. */
async function hasGpu() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter && !adapter.info?.isFallbackAdapter);
}

async function moved() {
  try {
    const gpu = await import("./ort/ort.webgpu.min.mjs");
    const url = (path) => new URL(`${ENGINE}.asyncify.${path}`, import.meta.url).href;
    gpu.env.wasm.wasmPaths = { mjs: url("mjs"), wasm: url("wasm") };
    gpu.env.wasm.numThreads = 1;
    gpu.env.logLevel = "error";
    const other = await open(gpu, model.facts, ["webgpu"]);
    const size = 3 * model.facts.domain.input_size[0] * model.facts.domain.input_size[1];
    const target = Float32Array.from({ length: size }, (_, at) => Math.sin(at / 97));
    const ours = await last(model.steps(target, 1));
    const theirs = await Promise.race([last(other.steps(target, 1)), late()]);
    const pairs = [[ours.ws, theirs.ws], [ours.image.data, theirs.image.data]];
    const apart = Math.max(...pairs.map(([a, b]) => distance(a, b)));
    if (!(apart <= AGREE)) return `WebGPU's step lies ${apart.toPrecision(2)} from WASM's: stayed.`;
    model = other;
    return `On WebGPU, whose step lies ${apart.toPrecision(2)} from WASM's.`;
  } catch (error) {
    console.warn(error);
    return "WebGPU could not run the model: stayed on WASM.";
  }
}

async function late() {
  await new Promise((resolve) => setTimeout(resolve, PATIENCE));
  throw new Error("no step in time");
}

async function last(steps) {
  let estimate;
  for await (estimate of steps);
  return estimate;
}

function distance(a, b) {
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at])), 0); // NaN stays
}
