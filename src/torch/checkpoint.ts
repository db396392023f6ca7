/**
 * Files that `torch.save` writes: a zip with a pickle and one file per storage. Read as a dictionary of tensors.
 * @module
 */
import { SottoError } from "../errors.ts";
import { readZip } from "../files/zip.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { PickleName, readPickle } from "./pickle.ts";
import { elementOfStorageClass, readView, type ElementBudget, type Storage } from "./storage.ts";

/** A tensor that is copied out of its storage when it is asked for. */
export type StoredTensor = () => Tensor;

class TensorView {
  readonly storage: Storage;
  readonly offset: unknown;
  readonly sizes: unknown;
  readonly strides: unknown;

  constructor([storage, offset, sizes, strides]: readonly unknown[], where: string) {
    if (!isStorage(storage)) {
      throw new SottoError("BAD_MODEL", where, "a tensor has no storage; export the model again");
    }
    this.storage = storage;
    this.offset = offset;
    this.sizes = sizes;
    this.strides = strides;
  }
}

/** Tensors of a `.pt` file by name; other values in its dictionary are left out. Throws BAD_MODEL. */
export function readCheckpoint(
  bytes: Uint8Array,
  where: string,
  budget: ElementBudget,
): Map<string, StoredTensor> {
  const files = readFiles(bytes, where);
  const pickle = [...files.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name)) ?? "";
  const read = (name: string): Uint8Array => {
    const file = files.get(name);
    if (file) return file();
    throw new SottoError("BAD_MODEL", where, `${name} is missing in it; export the model again`);
  };
  const root = pickle.slice(0, pickle.lastIndexOf("/") + 1);
  const order = files.get(`${root}byteorder`);
  const littleEndian = order === undefined || new TextDecoder().decode(order()) === "little";
  const value = readPickle(read(pickle === "" ? "data.pkl" : pickle), where, {
    construct: (name, args) => construct(name, args, where),
    load: (id) => loadStorage(id, (key) => read(`${root}data/${key}`), littleEndian, where),
  });
  if (!(value instanceof Map)) {
    throw new SottoError("BAD_MODEL", where, "expected a dictionary of tensors");
  }
  const tensors = new Map<string, StoredTensor>();
  for (const [name, item] of value) {
    if (typeof name !== "string" || !(item instanceof TensorView)) continue;
    tensors.set(name, () => readTensor(item, budget, `${where}: ${name}`));
  }
  return tensors;
}

/** Files of a zip by name; damage is BAD_MODEL, as everywhere in a model. */
export function readFiles(bytes: Uint8Array, where: string): Map<string, () => Uint8Array> {
  const files = new Map<string, () => Uint8Array>();
  const entries = asModelError(where, () => readZip(bytes, where));
  for (const { name, read } of entries) {
    if (files.has(name)) throw new SottoError("BAD_MODEL", where, `holds ${name} twice`);
    files.set(name, () => asModelError(where, read));
  }
  return files;
}

function asModelError<T>(where: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof SottoError) || error.code !== "BAD_BYTES") throw error;
    const detail = error.message.slice(`${error.code} at ${error.where}: `.length);
    throw new SottoError("BAD_MODEL", where, detail);
  }
}

/** The constructors that occur in a dictionary of tensors, and no other. */
function construct(name: string, args: readonly unknown[], where: string): unknown {
  switch (name) {
    case "collections.OrderedDict":
      return new Map(isPairs(args[0]) ? args[0] : []);
    case "torch._utils._rebuild_tensor_v2":
      return new TensorView(args, where);
    case "torch._utils._rebuild_parameter":
    case "torch._utils._rebuild_parameter_with_state":
      return args[0];
    default: {
      const message = `the pickle calls ${name}, and nothing in a model file is ever executed`;
      const advice = "only tensors are read; export the model again with torch.export.save";
      throw new SottoError("BAD_MODEL", where, `${message}; ${advice}`);
    }
  }
}

function isPairs(value: unknown): value is readonly (readonly [unknown, unknown])[] {
  return Array.isArray(value) && value.every((item) => Array.isArray(item) && item.length === 2);
}

/** A storage from its persistent id: ("storage", class, key, device, number of elements). */
function loadStorage(
  id: unknown,
  read: (key: string) => Uint8Array,
  littleEndian: boolean,
  where: string,
): Storage {
  const [kind, storageClass, key] = Array.isArray(id) ? (id as unknown[]) : [];
  if (kind !== "storage" || !(storageClass instanceof PickleName) || typeof key !== "string") {
    throw new SottoError("BAD_MODEL", where, "a storage is described in an unknown way");
  }
  const element = elementOfStorageClass(storageClass.name, where);
  return { element, bytes: read(key), littleEndian };
}

function isStorage(value: unknown): value is Storage {
  return typeof value === "object" && value !== null && "element" in value && "bytes" in value;
}

function readTensor(
  { storage, offset, sizes, strides }: TensorView,
  budget: ElementBudget,
  where: string,
): Tensor {
  if (!isNumbers(sizes) || !isNumbers(strides) || typeof offset !== "number") {
    throw new SottoError("BAD_MODEL", where, "the tensor's sizes are not numbers");
  }
  return readView(storage, { sizes, strides, offset }, budget, where);
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}
