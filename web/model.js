/** The method on the graphs of an export; needs neither a page nor a network. */

import { ShownError } from "./errors.js";

const FORMAT = 1;

/** Return the facts of model.json. Throws ShownError for another version or damage. */
export function readFacts(text) {
  let facts;
  try {
    facts = JSON.parse(text);
  } catch {
    throw new ShownError("model.json: expected an export's facts, got a damaged file.");
  }
  if (facts?.format !== FORMAT || facts.graphs !== "onnx") {
    const found = `${facts?.graphs} of format ${facts?.format}`;
    throw new ShownError(`model.json: expected graphs of onnx of format ${FORMAT}, got ${found}.`);
  }
  return facts;
}

/** Throw ShownError unless a file's SHA-256 is the one that model.json states. */
export async function checkHash(name, bytes, facts) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== facts.files?.[name]) {
    throw new ShownError(`${name}: expected the file that model.json names, got a changed one.`);
  }
}

/** An encoder and a generator that ONNX Runtime runs. Codes are Float32Array(num_ws * D). */
export class Model {
  constructor(ort, facts, encoder, generator) {
    Object.assign(this, { ort, facts, encoder, generator });
    this.rows = facts.start_ws.length;
    this.columns = facts.start_ws[0].length;
    this.average = null;
  }

  /** Render codes: the picture (1, 3, H, W), and `current`, what the encoder sees of it. */
  render(ws) {
    return this.generator.run({ ws: new this.ort.Tensor("float32", ws, [1, this.rows, this.columns]) });
  }

  /** Return where every inversion starts: the average codes and their picture. */
  async start() {
    if (!this.average) {
      const ws = Float32Array.from(this.facts.start_ws.flat());
      this.average = { ws, ...(await this.render(ws)) };
    }
    return this.average;
  }

  /** Yield the average and then `count` steps towards a target (3, h, w) in [-1, 1]. */
  async *steps(target, count) {
    const given = new this.ort.Tensor("float32", target, [1, 3, ...this.facts.domain.input_size]);
    let estimate = await this.start();
    let read = null;
    yield estimate;
    for (let step = 0; step < count; step++) {
      let residual;
      [residual, read] = await this.residual(given, estimate, read);
      const ws = estimate.ws.map((value, at) => value + residual[at]);
      estimate = { ws, ...(await this.render(ws)) };
      yield estimate;
    }
  }

  /** Return what a step adds to the codes, and what a siamese encoder has `read` of the target. */
  async residual(target, { ws, current }, read) {
    const { siamese, pull } = this.facts.encoder;
    if (!siamese) {
      const { residual } = await this.encoder.run({ target, current });
      return [residual.data, null];
    }
    const codes = (await this.encoder.run({ picture: read ? current : target })).codes.data;
    if (!read) return [codes, codes];
    const start = this.average.ws;
    const back = (value, at) => pull * (start[at] + value - ws[at]);
    return [read.map((value, at) => value - codes[at] + back(value, at)), read];
  }

  /** Move codes along directions by name: `strength` standard deviations each. */
  edited(ws, strengths) {
    const moved = ws.slice();
    for (const { name, vector, scale, layers } of this.facts.directions) {
      const amount = (strengths[name] ?? 0) * scale;
      for (const row of amount ? (layers ?? Array(this.rows).keys()) : []) {
        const along = Array.isArray(vector[0]) ? vector[row] : vector;
        along.forEach((value, column) => (moved[row * this.columns + column] += amount * value));
      }
    }
    return moved;
  }
}
