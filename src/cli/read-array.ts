/**
 * Reads arrays from `.npy`, `.npz` and `.csv` files into tensors.
 * Nothing from outside reaches a caller unchecked: a bad file is a SottoError that names the path. Whether the numbers
 * make sense (NaN, infinity, ranges) is decided where they are used.
 * @module
 */
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { CsvError, parse } from "csv-parse/sync";
import { SottoError } from "../errors.ts";
import { float64, type Tensor } from "../tensor/tensor.ts";
import { parseNpy } from "../tensor/npy.ts";
import { readZip } from "../files/zip.ts";

/** An array and its name: the key in a `.npz`, the path otherwise. */
export interface NamedArray {
  readonly name: string;
  readonly tensor: Tensor;
}

// What Python and spreadsheets write; Number() alone would also take "" and "0x10".
const NUMBER = /^[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)$/i;
const SPECIAL: ReadonlyMap<string, number> = new Map([
  ["nan", NaN],
  ["inf", Infinity],
  ["infinity", Infinity],
  ["-inf", -Infinity],
  ["-infinity", -Infinity],
]);

/** All arrays of a file: one of a `.npy` or `.csv`, each of a `.npz` in the order it was saved. */
export async function readArrays(path: string): Promise<NamedArray[]> {
  return parseArrays(path, await readBytes(path));
}

/** The array of a file that must hold exactly one. */
export async function readArray(path: string): Promise<Tensor> {
  const arrays = await readArrays(path);
  const [only] = arrays;
  if (only === undefined || arrays.length > 1) {
    const names = arrays.map((array) => array.name).join(", ") || "none";
    throw new SottoError("BAD_ARGUMENT", path, `expected one array in the file, got ${names}`);
  }
  return only.tensor;
}

/** The bytes of a file; FILE_NOT_FOUND where it cannot be read. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    throw new SottoError(
      "FILE_NOT_FOUND",
      path,
      UNREADABLE.get(code) ?? `cannot read it (${code})`,
    );
  }
}

const UNREADABLE: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "no such file; check the path"],
  ["EISDIR", "this is a folder, expected a file"],
  ["ENOTDIR", "no such file; a part of the path is not a folder"],
  ["EACCES", "permission denied"],
  ["ERR_FS_FILE_TOO_LARGE", "files above 2 GiB are not supported"],
]);

/** Reads the bytes of a file by the extension of its path. */
export function parseArrays(path: string, bytes: Uint8Array): NamedArray[] {
  const extension = extname(path).toLowerCase();
  if (extension === ".npy") return [{ name: path, tensor: parseNpy(bytes, path) }];
  if (extension === ".csv") return [{ name: path, tensor: parseCsv(bytes, path) }];
  if (extension !== ".npz") {
    throw new SottoError("BAD_ARGUMENT", path, "expected a .npy, .npz or .csv file");
  }
  return readZip(bytes, path).map((entry) => {
    const name = entry.name.replace(/\.npy$/, "");
    return { name, tensor: parseNpy(entry.read(), `${path}[${name}]`) };
  });
}

/** Rows of numbers, float64 [rows, columns]; a first line that is not all numbers is a header. Throws BAD_BYTES. */
export function parseCsv(bytes: Uint8Array, where: string): Tensor<"float64"> {
  const rows = csvRows(bytes, where);
  const [first] = rows;
  if (first === undefined) {
    throw new SottoError("BAD_BYTES", where, "the file is empty, expected rows of numbers");
  }
  const header = first.some((cell) => Number.isNaN(parseCell(cell)) && !isNaNCell(cell));
  const body = header ? rows.slice(1) : rows;
  const data = new Float64Array(body.length * first.length);
  body.forEach((row, r) =>
    row.forEach((cell, c) => {
      const value = parseCell(cell);
      if (Number.isNaN(value) && !isNaNCell(cell)) {
        const line = `row ${r + (header ? 2 : 1)}, column ${c + 1}`;
        const got = JSON.stringify(cell.slice(0, 40));
        throw new SottoError("BAD_BYTES", where, `expected a number in ${line}, got ${got}`);
      }
      data[r * first.length + c] = value;
    }),
  );
  return float64([body.length, first.length], data);
}

function csvRows(bytes: Uint8Array, where: string): string[][] {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return parse(text, { trim: true, skip_empty_lines: true });
  } catch (error) {
    if (error instanceof CsvError) {
      const what = error.message.replace(/\s+/g, " ");
      throw new SottoError("BAD_BYTES", where, `${what}; expected commas and equal rows`);
    }
    throw new SottoError("BAD_BYTES", where, "expected a text file in UTF-8");
  }
}

function parseCell(cell: string): number {
  return NUMBER.test(cell) ? Number(cell) : (SPECIAL.get(cell.toLowerCase()) ?? NaN);
}

function isNaNCell(cell: string): boolean {
  return cell.toLowerCase() === "nan";
}
