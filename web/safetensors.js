/**
 * Return the bytes of a safetensors file with one float32 tensor, and texts about it.
 * The format: the header's length in 8 bytes, the header as JSON padded with blanks, the numbers.
 */
export function safetensors(name, numbers, shape, about) {
  const entry = { dtype: "F32", shape, data_offsets: [0, numbers.byteLength] };
  const header = JSON.stringify({ __metadata__: about, [name]: entry });
  const text = new TextEncoder().encode(header);
  const padded = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + padded + numbers.byteLength).fill(32, 8, 8 + padded);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(text, 8);
  bytes.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), 8 + padded);
  return bytes;
}
