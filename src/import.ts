/**
 * Models in either format that sotto reads, told apart by their first bytes.
 * @module
 */
import type { Graph } from "./onnx/graph.ts";
import { importModel } from "./onnx/import.ts";
import { readModel, type Model } from "./onnx/proto.ts";
import { isZip } from "./torch/archive.ts";
import { readTorchProgram } from "./torch/import.ts";

/** True for the bytes of a PyTorch archive (or another zip file), false for those of an ONNX file. */
export function isTorchArchive(bytes: Uint8Array): boolean {
  return isZip(bytes);
}

/** Reads the operators of an ONNX file or of a PyTorch program, before any of them is checked. */
export function readOperators(bytes: Uint8Array): Model {
  return isTorchArchive(bytes) ? readTorchProgram(bytes) : readModel(bytes);
}

/** The graph of an ONNX file or of a PyTorch program. Throws BAD_ARGUMENT, BAD_MODEL, UNSUPPORTED_OPERATOR. */
export function importGraph(bytes: Uint8Array): Graph {
  return importModel(readOperators(bytes));
}
