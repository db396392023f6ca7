/**
 * What is refused when a PyTorch program is read, with which code and message; nothing in an archive is executed.
 */
import { describe, expect, test } from "vitest";
import { compileOnnxModel, compileTorchModel } from "../../../src/compile.ts";
import { importTorch } from "../../../src/torch/import.ts";
import { float32 } from "../../../src/tensor/tensor.ts";
import { errorOf, rejectionOf } from "../../support/errors.ts";
import { readModelBytes } from "../../support/onnx-fixtures.ts";
import { readTorchFile } from "../../support/torch-fixtures.ts";
import { unzip, zip } from "../../support/zip.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A recorded archive with some of its files replaced; null takes one out. */
function altered(
  [name, file]: readonly [string, string],
  change: Readonly<Record<string, Uint8Array | null>>,
): Uint8Array {
  const files = unzip(readTorchFile(name, file));
  for (const [path, bytes] of Object.entries(change)) {
    if (bytes === null) files.delete(path);
    else files.set(path, bytes);
  }
  return zip(files);
}

/** The newest archive of a network with its program rewritten as text. */
function rewritten(name: string, edit: (json: string) => string): Uint8Array {
  const path = "model/models/model.json";
  const json = new TextDecoder().decode(unzip(readTorchFile(name, "model.pt2")).get(path));
  return altered([name, "model.pt2"], { [path]: text(edit(json)) });
}

/** A state_dict.pt whose pickle is given. */
function checkpoint(pickle: Uint8Array): Uint8Array {
  return zip([["archive/data.pkl", pickle]]);
}

function withState(pickle: Uint8Array): Uint8Array {
  return altered(["mlp", "model_old.pt2"], { "serialized_state_dict.pt": checkpoint(pickle) });
}

const messageOf = (bytes: Uint8Array): string => errorOf(() => importTorch(bytes)).message;

describe("archives", () => {
  test("a rewritten archive is still read", () => {
    const same = rewritten("mlp", (json) => json);
    expect(importTorch(same)).toEqual(importTorch(readTorchFile("mlp", "model.pt2")));
  });

  test("the forms that PyTorch 2.3 gives to lists", () => {
    const name = "operators_movement";
    const older = rewritten(name, (json) =>
      json.replace(
        /("as_optional_tensors": \[.*?"as_tensor": )\{"name": ("\w+")\}/,
        (_, before: string, tensor: string) => `${before}${tensor}`,
      ),
    );
    expect(unzip(older)).not.toEqual(unzip(readTorchFile(name, "model.pt2")));
    expect(importTorch(older)).toEqual(importTorch(readTorchFile(name, "model.pt2")));
    const empty = rewritten("operators_reduction", (json) =>
      json.replaceAll(`"as_ints": []`, `"as_bools": []`),
    );
    expect(importTorch(empty).nodes.length).toBeGreaterThan(10);
  });

  test("a TorchScript file", () => {
    expect(messageOf(readTorchFile("refused", "torchscript.pt"))).toMatch(
      /^BAD_MODEL at model: this is a TorchScript archive, expected an exported program; save/,
    );
  });

  test("a file of torch.save", () => {
    expect(messageOf(readTorchFile("refused", "state_dict.pt"))).toMatch(
      /^BAD_MODEL at model: this is a torch.save file without a program.*torch.export.save/,
    );
  });

  test("another zip", () => {
    expect(messageOf(zip([["a.txt", text("a")]]))).toMatch(/holds no PyTorch program/);
  });

  test("several programs", () => {
    const json = unzip(readTorchFile("mlp", "model.pt2")).get("model/models/model.json");
    const change = { "model/models/other.json": json ?? text("") };
    expect(messageOf(altered(["mlp", "model.pt2"], change))).toMatch(/expected one program/);
  });

  test("a byte of a weight that has changed", () => {
    const bytes = Uint8Array.from(readTorchFile("mlp", "model.pt2"));
    const weight = unzip(bytes).get("model/data/weights/weight_0") ?? new Uint8Array();
    const at = Buffer.from(bytes).indexOf(weight);
    bytes[at + 2] ^= 1;
    expect(messageOf(bytes)).toMatch(/^BAD_MODEL at model: .*checksum differs/);
  });

  test.each([0, 4, 100, 5000])("cut off after %i bytes", (length) => {
    const bytes = readTorchFile("mlp", "model.pt2").subarray(0, length);
    expect(messageOf(bytes)).toMatch(/^BAD_MODEL at model: .*zip/);
  });

  test("a file that claims to unpack to 3 GiB", () => {
    const bytes = Buffer.from(zip([["a", text("aa")]]));
    const directory = bytes.readUInt32LE(bytes.length - 6);
    bytes.writeUInt32LE(3 * 2 ** 30, directory + 24);
    expect(messageOf(new Uint8Array(bytes))).toMatch(/^BAD_MODEL at model: .*more than 2 GiB/);
  });

  test("a file that claims to be packed tighter than deflate can", () => {
    const bytes = Buffer.from(zip([["serialized_exported_program.json", text("{}")]]));
    const directory = bytes.readUInt32LE(bytes.length - 6);
    bytes.writeUInt16LE(8, directory + 10);
    bytes.writeUInt32LE(2 ** 30, directory + 24);
    expect(messageOf(new Uint8Array(bytes))).toMatch(/^BAD_MODEL at model: .*impossible size/);
  });

  test("a file that is there twice", () => {
    const twice = zip([
      ["a", text("1")],
      ["a", text("2")],
    ]);
    expect(messageOf(twice)).toMatch(/^BAD_MODEL at model: holds a twice/);
  });

  test("a weight that is missing", () => {
    const change = { "model/data/weights/weight_0": null };
    expect(messageOf(altered(["mlp", "model.pt2"], change))).toMatch(/weight_0 is missing/);
  });

  test("a weight that is shorter than its sizes say", () => {
    const change = { "model/data/weights/weight_0": new Uint8Array(12) };
    expect(messageOf(altered(["mlp", "model.pt2"], change))).toMatch(
      /^BAD_MODEL at .*do not fit into a storage of 3 elements/,
    );
  });

  test("a weight of another shape than the program says", () => {
    const bytes = rewritten("logistic", (json) =>
      json.replace(
        `"sizes": [{"as_int": 1}, {"as_int": 10}]`,
        `"sizes": [{"as_int": 2}, {"as_int": 5}]`,
      ),
    );
    expect(messageOf(bytes)).toMatch(/stored with shape \[1, 10\], the program says \[2, 5\]/);
  });

  test("views that repeat their elements beyond all measure", () => {
    const path = "model/data/weights/model_weights_config.json";
    const config = new TextDecoder().decode(
      unzip(readTorchFile("logistic", "model.pt2")).get(path),
    );
    const huge = config
      .replace(
        `"sizes": [{"as_int": 1}, {"as_int": 10}]`,
        `"sizes": [{"as_int": 1000000}, {"as_int": 1000000}]`,
      )
      .replace(
        `"strides": [{"as_int": 10}, {"as_int": 1}]`,
        `"strides": [{"as_int": 0}, {"as_int": 0}]`,
      );
    expect(huge).not.toBe(config);
    expect(messageOf(altered(["logistic", "model.pt2"], { [path]: text(huge) }))).toMatch(
      /far more elements than the file/,
    );
  });

  test("a schema of the future", () => {
    const bytes = rewritten("mlp", (json) => json.replace(`"major": 8`, `"major": 9`));
    expect(messageOf(bytes)).toMatch(/expected schema version 4 to 8, got 9/);
  });

  test("no bytes at all", () => {
    expect(errorOf(() => importTorch("model.pt2" as never)).code).toBe("BAD_ARGUMENT");
  });
});

describe("pickles", () => {
  /** Text and numbers as bytes. */
  const bytesOf = (...parts: readonly (string | number)[]): Uint8Array =>
    Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...text(part)])));

  test.each([
    ["os", "system"],
    ["builtins", "eval"],
    ["torch", "load"],
    ["torch._utils", "_rebuild_qtensor"],
  ])("%s.%s is refused by name", (module, name) => {
    const { code, message } = errorOf(() =>
      importTorch(
        withState(bytesOf(0x80, 2, `c${module}\n${name}\n`, "X", 2, 0, 0, 0, "id", 0x85, "R.")),
      ),
    );
    expect(code).toBe("BAD_MODEL");
    expect(message).toContain(
      `the pickle calls ${module}.${name}, and nothing in a model file is ever executed`,
    );
  });

  test("the newer way to name a global is refused as well", () => {
    const pickle = Uint8Array.from([
      0x80,
      4,
      0x8c,
      2,
      ...text("os"),
      0x8c,
      6,
      ...text("system"),
      0x93,
      0x29,
      0x52,
      0x2e,
    ]);
    expect(messageOf(withState(pickle))).toContain("the pickle calls os.system");
  });

  test.each([
    ["an opcode of the text protocol", text("I1\n."), /opcode 0x49/],
    ["INST, which calls at once", text("(ios\nsystem\n."), /opcode 0x69/],
    ["OBJ, which calls at once", text("(o."), /opcode 0x6f/],
    ["no end", Uint8Array.from([0x80]), /it is cut off/],
    ["an empty stack", text("."), /a value is missing/],
    [
      "a value that was never stored",
      Uint8Array.from([0x68, 9, 0x2e]),
      /nothing is stored under 9/,
    ],
    ["no dictionary", Uint8Array.from([0x4b, 1, 0x2e]), /expected a dictionary of tensors/],
    ["a string beyond the end", Uint8Array.from([0x58, 255, 255, 255, 255]), /it is cut off/],
  ])("%s", (_, pickle, message) => {
    expect(messageOf(withState(pickle))).toMatch(message);
  });

  test("a pickled weight in the newest layout", () => {
    const path = "model/data/weights/model_weights_config.json";
    const config = new TextDecoder().decode(unzip(readTorchFile("mlp", "model.pt2")).get(path));
    const pickled = config.replaceAll(`"use_pickle": false`, `"use_pickle": true`);
    expect(messageOf(altered(["mlp", "model.pt2"], { [path]: text(pickled) }))).toMatch(
      /pickled object, and nothing in a model file is ever executed/,
    );
  });
});

describe("operators", () => {
  test("all unsupported ones are listed with their counts", () => {
    const { code, message } = errorOf(() =>
      importTorch(readTorchFile("refused", "unsupported.pt2")),
    );
    expect(code).toBe("UNSUPPORTED_OPERATOR");
    expect(message).toContain(
      "unsupported ATen operators: aten.sort.default (1), aten.special_i0.default (2), aten.lgamma.default (1)",
    );
  });

  test("an LSTM", () => {
    expect(messageOf(readTorchFile("refused", "lstm.pt2"))).toContain("aten.lstm.input (1)");
  });

  test("an operator of another library", () => {
    const bytes = rewritten("mlp", (json) =>
      json.replace("torch.ops.aten.relu.default", "torch.ops.mine.relu.default"),
    );
    expect(messageOf(bytes)).toContain("unsupported ATen operators: mine.relu.default (1)");
  });

  test("an argument that no rule looks at", () => {
    const bytes = rewritten("mlp", (json) =>
      json.replace(
        /("target": "torch.ops.aten.relu.default", "inputs": \[)/,
        `$1{"name": "surprise", "arg": {"as_int": 1}, "kind": 1}, `,
      ),
    );
    expect(messageOf(bytes)).toMatch(
      /^UNSUPPORTED_OPERATOR at relu: aten.relu.default: argument surprise/,
    );
  });

  test("training", () => {
    const bytes = rewritten("normalized", (json) =>
      json.replace(
        `"use_input_stats", "arg": {"as_bool": true}`,
        `"use_input_stats", "arg": {"as_bool": false}`,
      ),
    );
    expect(errorOf(() => importTorch(bytes)).code).toMatch(/BAD_MODEL|UNSUPPORTED_OPERATOR/);
    const dropout = rewritten("cnn", (json) =>
      json.replace(/("name": "train", "arg": \{"as_bool": )false/, "$1true"),
    );
    expect(messageOf(dropout)).toMatch(/dropout.default: it trains; export model.eval\(\)/);
  });

  test("a size that varies on another axis than the batch", () => {
    const bytes = rewritten("mlp", (json) =>
      json.replaceAll(`{"as_int": 10}`, `{"as_expr": {"expr_str": "s9", "hint": {"as_int": 10}}}`),
    );
    expect(errorOf(() => importTorch(bytes)).code).toMatch(/BAD_MODEL|BAD_SHAPE/);
  });

  test("Brevitas layers point to the function for them", async () => {
    const bytes = readTorchFile("refused", "brevitas.pt2");
    const error = await rejectionOf(() => compileTorchModel(bytes, float32([1, 4], [1, 2, 3, 4])));
    expect(error.code).toBe("BAD_ARGUMENT");
    expect(error.message).toContain("use compileBrevitasQatModel");
  });
});

describe("compile functions", () => {
  test("compileTorchModel sends ONNX files to compileOnnxModel", async () => {
    const error = await rejectionOf(() =>
      compileTorchModel(readModelBytes("seed_logreg"), float32([1, 14], new Float32Array(14))),
    );
    expect(error.message).toMatch(/^BAD_ARGUMENT at model: .*use compileOnnxModel/);
  });

  test("there is no ONNX file to copy", async () => {
    const options = { onnxFile: "copy.onnx" };
    const rows = float32([1, 10], new Float32Array(10));
    const error = await rejectionOf(() =>
      compileOnnxModel(readTorchFile("mlp", "model.pt2"), rows, options),
    );
    expect(error.message).toMatch(/^BAD_ARGUMENT at onnxFile: a PyTorch program has no ONNX file/);
  });
});
