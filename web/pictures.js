/** Pictures in and out: checked before they are decoded, resized as Pillow does, to the digit. */

import { ShownError } from "./errors.js";

const MOST_BYTES = 40_000_000;
const MOST_PIXELS = 50_000_000; // as Python's io/images.py; decoded they are 200 MB
const STRIP = 1_000_000; // pixels that are read at once
const BITS = 22; // of the fixed-point weights

/**
 * Make a file the target (3, height, width) of an inversion, RGB in [-1, 1]: its middle, resized
 * by an antialiased bilinear filter, as `--fit crop` does. Throws ShownError.
 */
export async function toTarget(file, [height, width]) {
  await checkFile(file);
  let bitmap;
  try {
    // Python does not apply colour profiles either.
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new ShownError("Expected an intact picture, got a damaged one.");
  }
  try {
    return normalised(cropped(bitmap, width, height), width * height);
  } finally {
    bitmap.close();
  }
}

/** Return a picture (3, H, W) in [-1, 1] as ImageData. */
export function toImageData({ data, dims }) {
  const [height, width] = dims.slice(-2);
  const size = height * width;
  const pixels = new Uint8ClampedArray(4 * size).fill(255);
  for (let at = 0; at < size; at++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels[4 * at + channel] = (data[channel * size + at] + 1) * 127.5;
    }
  }
  return new ImageData(pixels, width, height);
}

async function checkFile(file) {
  if (file.size > MOST_BYTES) {
    const found = Math.ceil(file.size / 1e6);
    throw new ShownError(`Expected a file of at most ${MOST_BYTES / 1e6} MB, got ${found} MB.`);
  }
  const header = readHeader(new Uint8Array(await file.arrayBuffer()));
  if (!header) throw new ShownError("Expected a JPEG, PNG or WebP picture, got another file.");
  const { width, height, animated } = header;
  if (animated) throw new ShownError("Expected a still picture, got an animation.");
  if (!width || !height) throw new ShownError("Expected an intact picture, got a damaged one.");
  if (width * height > MOST_PIXELS) {
    const most = MOST_PIXELS / 1e6;
    throw new ShownError(`Expected at most ${most} million pixels, got ${width} × ${height}.`);
  }
}

/** Return {width, height, animated} of a JPEG, PNG or WebP file, or null for another. */
export function readHeader(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (at, length) => String.fromCharCode(...bytes.subarray(at, at + length));
  try {
    if (text(1, 3) === "PNG") return pngHeader(view, text);
    if (text(0, 2) === "\xff\xd8") return jpegHeader(view);
    if (text(0, 4) === "RIFF" && text(8, 4) === "WEBP") return webpHeader(view, text(12, 4));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { width: 0, height: 0 }; // it ends too soon
  }
  return null;
}

function pngHeader(view, text) {
  let animated = false;
  for (let at = 8; text(at + 4, 4) !== "IDAT"; at += 12 + view.getUint32(at)) {
    animated ||= text(at + 4, 4) === "acTL";
  }
  return { width: view.getUint32(16), height: view.getUint32(20), animated };
}

function jpegHeader(view) {
  for (let at = 2; ; at += 2 + view.getUint16(at + 2)) {
    while (view.getUint16(at) === 0xffff) at++; // padding
    const marker = view.getUint16(at);
    const isFrame = marker >= 0xffc0 && marker <= 0xffcf;
    if (isFrame && ![0xffc4, 0xffc8, 0xffcc].includes(marker)) {
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5), animated: false };
    }
    if (marker < 0xff01 || marker === 0xffd9) return { width: 0, height: 0 };
  }
}

function webpHeader(view, kind) {
  const size24 = (at) => view.getUint16(at, true) + 65536 * view.getUint8(at + 2) + 1;
  if (kind === "VP8X") {
    const animated = Boolean(view.getUint8(20) & 2);
    return { width: size24(24), height: size24(27), animated };
  }
  if (kind === "VP8L") {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1, animated: false };
  }
  const side = (at) => view.getUint16(at, true) & 0x3fff;
  return { width: side(26), height: side(28), animated: false };
}

/** Return RGB bytes of the largest middle part of that shape: each axis in one pass, rounded. */
function cropped(bitmap, width, height) {
  const across = Math.min(bitmap.width, (width / height) * bitmap.height);
  const down = Math.min(bitmap.height, bitmap.width / (width / height));
  const columns = filter(bitmap.width, (bitmap.width - across) / 2, across, width);
  const rows = filter(bitmap.height, (bitmap.height - down) / 2, down, height);
  const span = columns.last - columns.first;
  const narrow = new Uint8Array((rows.last - rows.first) * width * 3);
  const most = Math.max(1, Math.floor(STRIP / span));
  const canvas = new OffscreenCanvas(span, Math.min(most, rows.last - rows.first));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white"; // what is transparent lies on white
  for (let top = rows.first; top < rows.last; top += most) {
    const count = Math.min(most, rows.last - top);
    context.fillRect(0, 0, span, count);
    context.drawImage(bitmap, -columns.first, -top);
    const { data } = context.getImageData(0, 0, span, count);
    for (let row = 0; row < count; row++) {
      const to = (top - rows.first + row) * width * 3;
      pass(data, row * span * 4, 4, columns, narrow, to, 3);
    }
  }
  const result = new Uint8Array(height * width * 3);
  for (let column = 0; column < width; column++) {
    pass(narrow, column * 3, width * 3, rows, result, column * 3, width * 3);
  }
  return result;
}

/**
 * Return the weights of Pillow's bilinear filter for `count` outputs over [start, start + length) of
 * `size` inputs: for each the first input and whole-number weights; and the inputs that are used.
 */
function filter(size, start, length, count) {
  const from = Math.fround(start); // Pillow takes its box in float32
  const scale = Math.fround(Math.fround(start + length) - from) / count;
  const support = Math.max(scale, 1); // half a triangle's base; at least one pixel
  const outputs = [];
  for (let output = 0; output < count; output++) {
    const centre = from + (output + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(size, Math.trunc(centre + support + 0.5));
    const triangle = [];
    for (let at = first; at < end; at++) {
      triangle.push(Math.max(0, 1 - Math.abs((at - centre + 0.5) / support)));
    }
    const total = triangle.reduce((sum, value) => sum + value, 0);
    const weights = triangle.map((value) => Math.trunc(0.5 + (value / total) * 2 ** BITS));
    outputs.push({ first, weights });
  }
  const last = Math.max(...outputs.map(({ first, weights }) => first + weights.length));
  return { first: Math.min(...outputs.map(({ first }) => first)), last, outputs };
}

/** Filter one line of three channels; steps are the distances of neighbours in both arrays. */
function pass(source, at, step, { first: origin, outputs }, target, to, stride) {
  for (const { first, weights } of outputs) {
    for (let channel = 0; channel < 3; channel++) {
      let sum = 1 << (BITS - 1);
      let from = at + (first - origin) * step + channel;
      for (let index = 0; index < weights.length; index++, from += step) {
        sum += source[from] * weights[index];
      }
      target[to + channel] = Math.min(255, sum >> BITS);
    }
    to += stride;
  }
}

function normalised(pixels, size) {
  const target = new Float32Array(3 * size);
  for (let at = 0; at < size; at++) {
    for (let channel = 0; channel < 3; channel++) {
      // Rounded where Python's float32 is.
      target[channel * size + at] = 2 * (Math.fround(pixels[3 * at + channel] / 255) - 0.5);
    }
  }
  return target;
}
