/**
 * A quantized module as bytes: its graph, every quantizer and the calibration rows, so that a module that is loaded gives
 * the same integers and compiles to the same program, whatever way it was quantized (docs/format.md, kind 7).
 * A JSON document with the tensors behind it. The decoder checks what it reads, and the module as a whole. Safe in browsers.
 * @module
 */
import { SottoError } from "../errors.ts";
import { verify as verifyGraph } from "../onnx/verify.ts";
import type { QuantizedModule } from "../quantization/module.ts";
import { verify as verifyModule } from "../quantization/verify.ts";
import { decodeBlob, encodeBlob, noId } from "./blob.ts";
import { Reader, bad, parseJson } from "./json-reader.ts";
import { ModuleReader } from "./module-reader.ts";
import { ModuleWriter } from "./module-writer.ts";
import { TensorReader, TensorWriter } from "./tensors.ts";

const MAX_BYTES = 2 ** 31;

/** Encodes a module; the same module gives the same bytes on every machine. */
export function encodeQuantizedModule(module: QuantizedModule): Uint8Array {
  const tensors = new TensorWriter();
  const writer = new ModuleWriter(tensors);
  const json = new TextEncoder().encode(JSON.stringify(writer.module(module)));
  const payload = new Uint8Array(4 + json.length + tensors.size);
  new DataView(payload.buffer).setUint32(0, json.length, true);
  payload.set(json, 4);
  tensors.writeTo(payload.subarray(4 + json.length));
  const header = {
    kind: "quantizedModule",
    parametersDigest: new Uint8Array(32),
    keyId: noId(),
    modelId: noId(),
  } as const;
  return encodeBlob(header, payload);
}

/** Reads what `encodeQuantizedModule` wrote. Throws BAD_BYTES. */
export function decodeQuantizedModule(bytes: Uint8Array): QuantizedModule {
  const { payload } = decodeBlob(bytes, "quantizedModule", MAX_BYTES);
  if (payload.length < 4) throw bad("quantizedModule", "expected 4 bytes of length, got fewer");
  const length = new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
  if (length > payload.length - 4) {
    throw bad("quantizedModule", `expected ${length} bytes of JSON, got ${payload.length - 4}`);
  }
  const root = new Reader(parseJson(payload.slice(4, 4 + length), "quantizedModule"), "module");
  const reader = new ModuleReader(
    new TensorReader(payload.slice(4 + length), root.field("tensors")),
  );
  try {
    const module = reader.module(root);
    for (const graph of [module.before, module.graph, module.after]) verifyGraph(graph);
    verifyModule(module);
    return module;
  } catch (error) {
    if (error instanceof SottoError && error.code === "BAD_BYTES") throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw bad("quantizedModule", `expected a legal module, got one with this fault: ${why}`);
  }
}
