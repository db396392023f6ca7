/**
 * The archives that `torch.export.save` has written over time, each as the program's JSON and its tensors by name.
 *
 * - PyTorch up to 2.7: a zip of `serialized_exported_program.json` and pickled tensors beside it.
 * - PyTorch 2.8: the PT2 archive, one folder with `models/model.json` and pickled tensors in `data`.
 * - PyTorch 2.9 and later: the same, where `data` holds raw elements and a JSON that says which tensor is where.
 * @module
 */
import { SottoError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { readCheckpoint, readFiles, type StoredTensor } from "./checkpoint.ts";
import { Json } from "../files/json.ts";
import { elementOfScalarType, ElementBudget, readView } from "./storage.ts";

/** A program as stored. */
export interface TorchArchive {
  readonly program: Json;
  /** Parameters and buffers by their qualified name; undefined where the archive has none of that name. */
  readonly weight: (name: string) => Tensor | undefined;
  /** Tensors that are no part of the state: lifted constants and buffers that are not persistent. */
  readonly constant: (name: string) => Tensor | undefined;
}

type Files = ReadonlyMap<string, () => Uint8Array>;

const WHERE = "model";
const PROGRAM = "serialized_exported_program.json";

/** True for bytes that begin like a zip archive, which an ONNX file never does. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 0x03 && bytes[3] === 0x04;
}

/** Opens an archive. Throws BAD_MODEL, also for a zip that is something else. */
export function openArchive(bytes: Uint8Array): TorchArchive {
  const files = readFiles(bytes, WHERE);
  const budget = new ElementBudget(bytes.length);
  if (files.has(PROGRAM)) return openOldArchive(files, budget);
  const programs = [...files.keys()].filter((name) => /^[^/]+\/models\/[^/]+\.json$/.test(name));
  if (programs.length === 1) return openPt2Archive(files, programs[0], budget);
  const message =
    programs.length > 1
      ? `expected one program in the archive, got ${programs.join(", ")}; save them one by one`
      : `${describe(files)}; save the model with torch.export.save(torch.export.export(model.eval(), (x,)), "model.pt2")`;
  throw new SottoError("BAD_MODEL", WHERE, message);
}

/** What a zip without a program is most likely to be. */
function describe(files: Files): string {
  const names = [...files.keys()];
  if (names.some((name) => name.includes("/code/") || name.endsWith("constants.pkl"))) {
    return "this is a TorchScript archive, expected an exported program";
  }
  if (names.some((name) => /(?:^|\/)data\.pkl$/.test(name))) {
    return "this is a torch.save file without a program, expected an exported program";
  }
  return "this zip archive holds no PyTorch program";
}

function openOldArchive(files: Files, budget: ElementBudget): TorchArchive {
  const open = (name: string): ReadonlyMap<string, StoredTensor> => {
    const file = files.get(name);
    const bytes = file?.();
    return bytes && bytes.length > 0 ? readCheckpoint(bytes, name, budget) : new Map();
  };
  const weights = open("serialized_state_dict.pt");
  // Up to PyTorch 2.2 constants were part of the state.
  const constants = open("serialized_constants.pt");
  return {
    program: parse(files, PROGRAM),
    weight: (name) => weights.get(name)?.(),
    constant: (name) => (constants.get(name) ?? weights.get(name))?.(),
  };
}

function openPt2Archive(files: Files, path: string, budget: ElementBudget): TorchArchive {
  const root = path.slice(0, path.indexOf("/") + 1);
  const model = path.slice(path.lastIndexOf("/") + 1, -".json".length);
  const order = files.get(`${root}byteorder`);
  const littleEndian = order === undefined || new TextDecoder().decode(order()) === "little";
  const open = (folder: string): ((name: string) => Tensor | undefined) => {
    const config = `${folder}${model}_${folder.endsWith("weights/") ? "weights" : "constants"}_config.json`;
    const checkpoint = files.get(`${folder}${model}.pt`);
    if (files.has(config)) {
      const payloads = parse(files, config).get("config");
      return (name) => readPayload(payloads.get(name), files, { folder, budget, littleEndian });
    }
    if (!checkpoint) return () => undefined;
    const tensors = readCheckpoint(checkpoint(), `${folder}${model}.pt`, budget);
    return (name) => tensors.get(name)?.();
  };
  return {
    program: parse(files, path),
    weight: open(`${root}data/weights/`),
    constant: open(`${root}data/constants/`),
  };
}

/** One tensor of raw elements, as its PayloadMeta describes it. */
function readPayload(
  payload: Json,
  files: Files,
  {
    folder,
    budget,
    littleEndian,
  }: {
    readonly folder: string;
    readonly budget: ElementBudget;
    readonly littleEndian: boolean;
  },
): Tensor | undefined {
  if (payload.isAbsent) return undefined;
  const { where } = payload;
  if (payload.get("use_pickle").boolean()) {
    const message = "it is a pickled object, and nothing in a model file is ever executed";
    throw new SottoError("BAD_MODEL", where, `${message}; expected a plain tensor`);
  }
  const meta = payload.get("tensor_meta");
  const path = `${folder}${payload.get("path_name").string()}`;
  const file = files.get(path);
  if (!file) throw new SottoError("BAD_MODEL", where, `${path} is missing in the archive`);
  const sizes = meta.get("sizes").list().map(fixedInteger);
  const strides = meta.get("strides").list().map(fixedInteger);
  const offset = fixedInteger(meta.get("storage_offset"));
  const element = elementOfScalarType(meta.get("dtype").integer(), where);
  const storage = { element, bytes: file(), littleEndian };
  return readView(storage, { sizes, strides, offset }, budget, where);
}

function fixedInteger(size: Json): number {
  return size.get("as_int").integer();
}

function parse(files: Files, name: string): Json {
  const bytes = files.get(name)?.() ?? new Uint8Array();
  return Json.parse(new TextDecoder().decode(bytes), name.slice(name.lastIndexOf("/") + 1));
}
