/**
 * Models in every format that sotto reads, told apart by their first bytes.
 * @module
 */
import { isLightgbm, readLightgbm } from "./boosters/lightgbm.ts";
import { isXgboost, readXgboost } from "./boosters/xgboost.ts";
import type { Graph } from "./onnx/graph.ts";
import { importModel } from "./onnx/import.ts";
import { readModel, type Model } from "./onnx/proto.ts";
import { isZip } from "./torch/archive.ts";
import { readTorchProgram } from "./torch/import.ts";

/** A file format: ONNX, an archive of `torch.export.save`, or what a boosting library's `save_model` writes. */
export type ModelFormat = "onnx" | "torch" | "xgboost" | "lightgbm";

/** The format of a model's bytes; everything that no other format begins like is taken for ONNX. */
export function formatOf(bytes: Uint8Array): ModelFormat {
  if (isZip(bytes)) return "torch";
  if (isXgboost(bytes)) return "xgboost";
  // not bytes: a caller's mistake, which the reader of ONNX files tells
  return bytes instanceof Uint8Array && isLightgbm(bytes) ? "lightgbm" : "onnx";
}

const READERS: Readonly<Record<ModelFormat, (bytes: Uint8Array) => Model>> = {
  onnx: readModel,
  torch: readTorchProgram,
  xgboost: readXgboost,
  lightgbm: readLightgbm,
};

/** True for the bytes of a PyTorch archive (or another zip file). */
export function isTorchArchive(bytes: Uint8Array): boolean {
  return formatOf(bytes) === "torch";
}

/** Reads the operators of a model in any format, before any of them is checked. */
export function readOperators(bytes: Uint8Array): Model {
  return READERS[formatOf(bytes)](bytes);
}

/** The graph of a model in any format. Throws BAD_ARGUMENT, BAD_MODEL, UNSUPPORTED_OPERATOR. */
export function importGraph(bytes: Uint8Array): Graph {
  return importModel(readOperators(bytes));
}
