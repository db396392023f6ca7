/**
 * Bins as JSON, and back from JSON of unknown origin. Safe in browsers.
 * @module
 */
import { BinQuantizer } from "../quantization/bin-quantizer.ts";
import { type Reader, bad } from "./json-reader.ts";

const MAX_COLUMNS = 2 ** 16;
/** Codes of all columns: their unit vectors are encrypted, a coefficient for each. */
const MAX_CODES = 2 ** 22;

/** The JSON of bins: edges and the code of missing values, per column. */
export function binsToJson({ columns }: BinQuantizer): object {
  return { bins: columns.map(({ edges, missing }) => ({ edges: [...edges], missing })) };
}

/** The bins of a quantizer, null if it has none. Throws BAD_BYTES. */
export function binsFrom(quantizer: Reader): BinQuantizer | null {
  const bins = quantizer.optional("bins");
  if (bins === null) return null;
  const list = bins.list();
  if (list.length === 0 || list.length > MAX_COLUMNS) {
    throw bad(bins.path, `expected 1 to ${MAX_COLUMNS} columns, got ${list.length}`);
  }
  let codes = 0;
  const columns = list.map((column) => {
    const edges = Float64Array.from(column.field("edges").list(), (edge) => edge.number());
    if (edges.some((edge, i) => i > 0 && !(edge > edges[i - 1]))) {
      throw bad(column.path, "expected edges that ascend");
    }
    codes += edges.length + 2;
    return { edges, missing: column.field("missing").count(edges.length + 1) };
  });
  if (codes > MAX_CODES) throw bad(bins.path, `expected at most ${MAX_CODES} codes, got ${codes}`);
  return new BinQuantizer(columns);
}
