import { describe, expect, test } from "vitest";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SottoError } from "../../../src/errors.ts";
import { sizeOf, type Tensor } from "../../../src/tensor/tensor.ts";
import { parseNpy } from "../../../src/tensor/npy.ts";
import { parseArrays, parseCsv, readArray, readArrays } from "../../../src/cli/read-array.ts";
import { NUMPY_FILES } from "./numpy-files.ts";

const file = (key: string): Uint8Array => Buffer.from(NUMPY_FILES[key] ?? "", "base64");
const text = (content: string): Uint8Array => new TextEncoder().encode(content);
const npy = (header: string, data: Uint8Array = new Uint8Array()): Uint8Array => {
  const head = new Uint8Array([0x93, ...text("NUMPY"), 1, 0, header.length, 0]);
  return Buffer.concat([head, text(header), data]);
};

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof SottoError) return `${error.code} at ${error.where}`;
    throw error;
  }
  return "no error";
}

describe("npy", () => {
  const dtypes = {
    float32: ["<f2", "<f4", ">f2", ">f4"],
    float64: ["<f8", ">f8"],
    int64: ["i1", "<i2", "<i4", "<i8", "u1", "<u2", "<u4", "<u8", ">i2", ">i8", ">u4"],
  };
  for (const [dtype, keys] of Object.entries(dtypes)) {
    test.each(keys)(`%s becomes ${dtype}`, (key) => {
      const array = parseNpy(file(key), "a.npy");
      expect(array.dtype).toBe(dtype);
      expect(array.shape).toEqual([2, 3]);
      expect([...array.data]).toEqual([1, 2, 3, 4, 5, 6]);
    });
  }

  test("bool holds 0 and 1", () => {
    expect(parseNpy(file("bool"), "a.npy")).toMatchObject({ dtype: "bool", shape: [2, 3] });
    expect([...parseNpy(file("bool"), "a.npy").data]).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test("Fortran order is put into C order", () => {
    const array = parseNpy(file("fortran"), "a.npy");
    expect(array.shape).toEqual([2, 3, 4]);
    expect([...array.data]).toEqual(Array.from({ length: 24 }, (_, i) => i));
  });

  test("versions 2.0 and 3.0, scalars and empty arrays are read", () => {
    expect([...parseNpy(file("v2"), "a.npy").data]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...parseNpy(file("v3"), "a.npy").data]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(parseNpy(file("scalar"), "a.npy")).toMatchObject({ shape: [] });
    expect([...parseNpy(file("scalar"), "a.npy").data]).toEqual([2.5]);
    expect(parseNpy(file("empty"), "a.npy").shape).toEqual([0, 3]);
  });

  test("half precision covers NaN, infinities, subnormals and the largest number", () => {
    const [nan, ...rest] = parseNpy(file("special"), "a.npy").data;
    expect(nan).toBeNaN();
    expect(rest).toEqual([Infinity, -Infinity, 2 ** -24, 65504, Math.fround(-0.0999755859375)]);
  });

  test.each(["complex", "object", "text", "record"])("dtype %s is refused", (key) => {
    expect(codeOf(() => parseNpy(file(key), "a.npy"))).toBe("BAD_DTYPE at a.npy");
  });

  test("an integer beyond 2^53 is refused", () => {
    expect(codeOf(() => parseNpy(file("big"), "a.npy"))).toBe("BAD_VALUE at a.npy");
  });

  test("every truncation is refused", () => {
    const whole = file("<f4");
    for (let length = 0; length < whole.length; length++) {
      expect(codeOf(() => parseNpy(whole.subarray(0, length), "a.npy"))).toBe("BAD_BYTES at a.npy");
    }
  });

  test("headers that lie are refused before anything is allocated", () => {
    const header = (shape: string) => `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}}`;
    expect(parseNpy(npy(header("(1,)"), new Uint8Array(4)), "a.npy").shape).toEqual([1]);
    const shapes = ["(9007199254740991, 9007199254740991)", "(-1,)", "(1.5,)", "(4)x", "(2,)"];
    for (const shape of shapes) {
      const bytes = npy(header(shape), new Uint8Array(4));
      expect(codeOf(() => parseNpy(bytes, "a.npy"))).toBe("BAD_BYTES at a.npy");
    }
  });

  test("a message names what is wrong and stays on one line", () => {
    const bytes = npy("{'descr': '\n\u001b[31m'}");
    expect(() => parseNpy(bytes, "a.npy")).toThrow(
      /^BAD_BYTES at a\.npy: cannot read the header [ -~]*$/,
    );
  });
});

describe("npz", () => {
  test("arrays come in the order they were saved, stored or deflated", () => {
    const stored = parseArrays("a.npz", file("npz"));
    expect(stored.map((array) => array.name)).toEqual(["images", "labels"]);
    expect([...(stored[0]?.tensor.data ?? [])]).toEqual([0.5, 1, 1.5, 2, 2.5, 3]);
    expect([...(stored[1]?.tensor.data ?? [])]).toEqual([7, 8]);
    const packed = parseArrays("a.npz", file("npzc"));
    expect(packed.map((array) => array.tensor.shape)).toEqual([
      [4, 50],
      [2, 3],
    ]);
    expect([...(packed[1]?.tensor.data ?? [])]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("every truncation is refused", () => {
    const whole = file("npzc");
    for (let length = 0; length < whole.length; length++) {
      expect(codeOf(() => parseArrays("a.npz", whole.subarray(0, length)))).toMatch(/^BAD_BYTES/);
    }
  });

  test("a flipped bit in the elements is found by the checksum", () => {
    const bytes = Uint8Array.from(file("npz1"));
    const at = bytes.findIndex((byte, i) => byte === 0x3f && bytes[i + 1] === 0);
    bytes[at] = 0xbf;
    expect(codeOf(() => parseArrays("a.npz", bytes))).toBe("BAD_BYTES at a.npz");
  });
});

describe("csv", () => {
  test("a header line is optional", () => {
    const expected = { dtype: "float64", shape: [2, 2] };
    expect(parseCsv(text("a,b\n1,2\n3,-4.5e1\n"), "a.csv")).toMatchObject(expected);
    const bare = parseCsv(text("\uFEFF1, 2\r\n.5,nan\r\n"), "a.csv");
    expect(bare).toMatchObject(expected);
    expect([...bare.data]).toEqual([1, 2, 0.5, NaN]);
  });

  test("a header alone is an array without rows", () => {
    expect(parseCsv(text("a,b\n"), "a.csv").shape).toEqual([0, 2]);
  });

  test.each([
    ["an empty file", ""],
    ["rows of different lengths", "1,2\n3\n"],
    ["a cell that is not a number", "1,2\n3,x\n"],
    ["an empty cell", "1,2\n3,\n"],
    ["a hexadecimal number", "1,2\n3,0x10\n"],
    ["an open quote", '1,"2\n'],
  ])("%s is refused", (_, content) => {
    expect(codeOf(() => parseCsv(text(content), "a.csv"))).toBe("BAD_BYTES at a.csv");
  });

  test("bytes that are not UTF-8 are refused", () => {
    expect(codeOf(() => parseCsv(new Uint8Array([0xff, 0xfe, 49]), "a.csv"))).toMatch(/^BAD_BYTES/);
  });

  test("the message gives row and column", () => {
    expect(() => parseCsv(text("a,b\n1,2\n3,x\n"), "a.csv")).toThrow(
      'BAD_BYTES at a.csv: expected a number in row 3, column 2, got "x"',
    );
  });
});

describe("files", () => {
  test("files are read by their extension, and unreadable ones name the path", async () => {
    const folder = await mkdtemp(join(tmpdir(), "sotto-arrays-"));
    try {
      const path = join(folder, "x.npz");
      await writeFile(path, file("npz1"));
      expect([...(await readArray(path)).data]).toEqual([1.5, 2.5]);
      await writeFile(path, file("npz"));
      expect(await readArrays(path)).toHaveLength(2);
      await expect(readArray(path)).rejects.toMatchObject({ code: "BAD_ARGUMENT", where: path });
      const missing = join(folder, "none.npy");
      await expect(readArray(missing)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
      await expect(readArray(folder)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
      await writeFile(join(folder, "x.txt"), "1");
      await expect(readArray(join(folder, "x.txt"))).rejects.toMatchObject({
        code: "BAD_ARGUMENT",
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("mutations", () => {
  const sources: readonly (readonly [string, Uint8Array])[] = [
    ["a.npy", file("<f4")],
    ["a.npy", file("fortran")],
    ["a.npy", file(">i8")],
    ["a.npz", file("npz")],
    ["a.npz", file("npzc")],
    ["a.csv", text("a,b\n1,2\n3,4.5e3\n-6,7\n")],
  ];

  test("2,000 damaged files give a valid array or a SottoError", () => {
    const random = generator(20240229);
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      const [path, original] = sources[round % sources.length] ?? ["a.npy", file("<f4")];
      const outcome = tryParse(path, mutate(original, random));
      if (outcome === "refused") refused++;
      else for (const array of outcome) expect(array.data).toHaveLength(sizeOf(array.shape));
    }
    expect(refused).toBeGreaterThan(500);
  });
});

function tryParse(path: string, bytes: Uint8Array): Tensor[] | "refused" {
  try {
    return parseArrays(path, bytes).map((array) => array.tensor);
  } catch (error) {
    if (error instanceof SottoError) return "refused";
    throw error;
  }
}

function mutate(original: Uint8Array, random: () => number): Uint8Array {
  const bytes = Uint8Array.from(original);
  for (let edits = 1 + Math.floor(random() * 4); edits > 0; edits--) {
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  }
  const kind = random();
  if (kind < 0.2) return bytes.subarray(0, Math.floor(random() * bytes.length));
  return kind < 0.3 ? Buffer.concat([bytes, bytes.subarray(0, 9)]) : bytes;
}

/** A small linear congruential generator, so that a failure can be repeated. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
