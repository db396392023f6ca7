/**
 * Import of PyTorch programs: the bytes of a `torch.export.save` archive to a verified graph. Nothing in the archive is executed.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Graph } from "../onnx/graph.ts";
import { importModel } from "../onnx/import.ts";
import type { Model } from "../onnx/proto.ts";
import { openArchive } from "./archive.ts";
import { lowerProgram } from "./model.ts";
import { readProgram } from "./program.ts";

/** Reads a `.pt2` archive as a model of ONNX operators. Throws BAD_MODEL, BAD_ARGUMENT, UNSUPPORTED_OPERATOR. */
export function readTorchProgram(bytes: Uint8Array): Model {
  if (!(bytes instanceof Uint8Array)) {
    throw new SottoError("BAD_ARGUMENT", "model", "expected the bytes of a .pt2 file");
  }
  const archive = openArchive(bytes);
  return lowerProgram(readProgram(archive.program), archive);
}

/**
 * Reads an exported PyTorch program (`torch.export.save`) into the same graph as its ONNX export.
 * Throws BAD_MODEL for bytes that are not one, BAD_ARGUMENT for a model with Brevitas layers, UNSUPPORTED_OPERATOR with the names
 * of all ATen operators that sotto cannot read.
 */
export function importTorch(bytes: Uint8Array): Graph {
  return importModel(readTorchProgram(bytes));
}
