/**
 * Matrix product. A float32 product accumulates in the order of the terms, rounding to float32 after each (the product of
 * two float32 is exact in double precision, so each step is a fused multiply-add but for a double rounding that one step in
 * 2^28 or so shows); any other product is in double precision, which is exact for integers.
 * @module
 */
import { SottoError } from "../errors.ts";
import { expand } from "./strided.ts";
import { allocate, broadcastShapes, cast, promote, reshape, sizeOf } from "./tensor.ts";
import type { Shape, Tensor } from "./tensor.ts";

/** Shape of `matmul`, or BAD_SHAPE: numpy's rules, where a vector is a row on the left and a column on the right. */
export function matmulShape(a: Shape, b: Shape): number[] {
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  if (a.length === 0 || b.length === 0 || left.at(-1) !== right.at(-2)) {
    const shapes = `[${a.join(", ")}] and [${b.join(", ")}]`;
    throw new SottoError(
      "BAD_SHAPE",
      "matmul",
      `expected factors whose inner sizes agree, got ${shapes}`,
    );
  }
  const shape = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  if (a.length > 1) shape.push(left[left.length - 2]);
  if (b.length > 1) shape.push(right[right.length - 1]);
  return shape;
}

/** Product of two matrices, or of two stacks of matrices whose leading axes broadcast. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  const shape = matmulShape(a.shape, b.shape);
  const dtype = promote(a.dtype, b.dtype);
  const terms = a.shape[a.shape.length - 1];
  const columns = b.shape.length === 1 ? 1 : b.shape[b.shape.length - 1];
  const data = allocate(dtype, sizeOf(shape));
  if (b.shape.length <= 2) {
    // one matrix on the right: the rows of a stack on the left are the rows of one tall matrix
    multiplyInto(data, cast(a, dtype).data, cast(b, dtype).data, terms, columns);
    return { dtype, shape, data };
  }
  const rows = a.shape.length === 1 ? 1 : a.shape[a.shape.length - 2];
  const left = a.shape.length === 1 ? reshape(a, [1, terms]) : a;
  const batch = broadcastShapes(left.shape.slice(0, -2), b.shape.slice(0, -2));
  const x = cast(expand(left, [...batch, rows, terms]), dtype).data;
  const y = cast(expand(b, [...batch, terms, columns]), dtype).data;
  for (let i = 0; i < sizeOf(batch); i++) {
    const out = data.subarray(i * rows * columns, (i + 1) * rows * columns);
    const xi = x.subarray(i * rows * terms, (i + 1) * rows * terms);
    multiplyInto(
      out,
      xi,
      y.subarray(i * terms * columns, (i + 1) * terms * columns),
      terms,
      columns,
    );
  }
  return { dtype, shape, data };
}

/** Writes to `out` (rows x columns) the product of `x` (rows x terms) and `y` (terms x columns), of one storage. */
export function multiplyInto(
  out: Float32Array | Float64Array,
  x: Float32Array | Float64Array,
  y: Float32Array | Float64Array,
  terms: number,
  columns: number,
): void {
  if (out instanceof Float32Array && x instanceof Float32Array && y instanceof Float32Array) {
    multiplyFloat32(out, x, y, terms, columns);
  } else if (
    out instanceof Float64Array &&
    x instanceof Float64Array &&
    y instanceof Float64Array
  ) {
    multiplyFloat64(out, x, y, terms, columns);
  } else {
    throw new Error("internal: a product of mixed storages");
  }
}

/** Columns of `y` that are multiplied at a time, copied to where they lie together. */
const PANEL = 4;

/** Copies the columns from `first` on, term by term; what is beyond the last column is 0. */
function pack(
  panel: Float64Array,
  y: Float32Array | Float64Array,
  first: number,
  columns: number,
): void {
  const width = Math.min(PANEL, columns - first);
  if (width < PANEL) panel.fill(0);
  for (let at = 0, from = first; at < panel.length; at += PANEL, from += columns) {
    for (let c = 0; c < width; c++) panel[at + c] = y[from + c];
  }
}

/** Copies the columns that exist of a tile, its first row to `first` and its second to `second`. */
function store(
  out: Float32Array | Float64Array,
  tile: Float64Array,
  first: number,
  second: number,
  width: number,
): void {
  for (let c = 0; c < width; c++) {
    out[first + c] = tile[c];
    out[second + c] = tile[PANEL + c];
  }
}

// Two copies, so that each loop sees one kind of array and rounds or not: a shared one runs several times slower.
// A tile of 2 x 4 sums stays in registers, and its sums do not wait for one another.
function multiplyFloat32(
  out: Float32Array,
  x: Float32Array,
  y: Float32Array,
  terms: number,
  columns: number,
): void {
  const left = new Float64Array(x);
  const panel = new Float64Array(terms * PANEL);
  const tile = new Float64Array(2 * PANEL);
  const rows = out.length / columns;
  const round = Math.fround;
  for (let j = 0; j < columns; j += PANEL) {
    const width = Math.min(PANEL, columns - j);
    pack(panel, y, j, columns);
    for (let i = 0; i < rows; i += 2) {
      const other = Math.min(i + 1, rows - 1); // the last row of an odd number is computed twice
      let [a0, a1, a2, a3, b0, b1, b2, b3] = [0, 0, 0, 0, 0, 0, 0, 0];
      for (let p = 0, a = i * terms, b = other * terms; p < panel.length; p += PANEL) {
        const f = left[a++];
        const g = left[b++];
        a0 = round(a0 + f * panel[p]);
        a1 = round(a1 + f * panel[p + 1]);
        a2 = round(a2 + f * panel[p + 2]);
        a3 = round(a3 + f * panel[p + 3]);
        b0 = round(b0 + g * panel[p]);
        b1 = round(b1 + g * panel[p + 1]);
        b2 = round(b2 + g * panel[p + 2]);
        b3 = round(b3 + g * panel[p + 3]);
      }
      tile[0] = a0;
      tile[1] = a1;
      tile[2] = a2;
      tile[3] = a3;
      tile[4] = b0;
      tile[5] = b1;
      tile[6] = b2;
      tile[7] = b3;
      store(out, tile, i * columns + j, other * columns + j, width);
    }
  }
}

function multiplyFloat64(
  out: Float64Array,
  x: Float64Array,
  y: Float64Array,
  terms: number,
  columns: number,
): void {
  const panel = new Float64Array(terms * PANEL);
  const tile = new Float64Array(2 * PANEL);
  const rows = out.length / columns;
  for (let j = 0; j < columns; j += PANEL) {
    const width = Math.min(PANEL, columns - j);
    pack(panel, y, j, columns);
    for (let i = 0; i < rows; i += 2) {
      const other = Math.min(i + 1, rows - 1);
      let [a0, a1, a2, a3, b0, b1, b2, b3] = [0, 0, 0, 0, 0, 0, 0, 0];
      for (let p = 0, a = i * terms, b = other * terms; p < panel.length; p += PANEL) {
        const f = x[a++];
        const g = x[b++];
        a0 += f * panel[p];
        a1 += f * panel[p + 1];
        a2 += f * panel[p + 2];
        a3 += f * panel[p + 3];
        b0 += g * panel[p];
        b1 += g * panel[p + 1];
        b2 += g * panel[p + 2];
        b3 += g * panel[p + 3];
      }
      tile[0] = a0;
      tile[1] = a1;
      tile[2] = a2;
      tile[3] = a3;
      tile[4] = b0;
      tile[5] = b1;
      tile[6] = b2;
      tile[7] = b3;
      store(out, tile, i * columns + j, other * columns + j, width);
    }
  }
}
