/**
 * The models of a folder: either it holds `server.sotto` and `client.sotto` itself, or each of its folders may.
 * @module
 */
import { existsSync, statSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { ModelInfo } from "../client/remote-types.ts";
import { SottoError } from "../errors.ts";
import { Server } from "../execute/server.ts";
import { decodeHeader, toHex } from "../format/blob.ts";
import { decodeClientSpec } from "../format/client-spec.ts";
import { inputBytes } from "../format/sizes.ts";
import type { NativeBinding } from "../native/binding.ts";
import {
  bootstrapBytesPerBit,
  evaluationKeyBytes,
  KEYSWITCH_WORD_BYTES,
  keyswitchWords,
} from "../parameters/cost.ts";
import type { CryptoParameters } from "../parameters/parameters.ts";

const PROGRAM_FILE = "server.sotto";
const SPEC_FILE = "client.sotto";
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** A model that is ready to run. */
export interface ServedModel {
  readonly info: ModelInfo;
  readonly server: Server;
  /** `client.sotto` as it is sent. */
  readonly clientSpec: Uint8Array;
  /** Memory that one client's expanded evaluation keys take. */
  readonly expandedKeyBytes: number;
}

/** Loads all models of a folder. Throws BAD_ARGUMENT where there is none, BAD_BYTES or WRONG_MODEL. */
export async function loadModels(
  folder: string,
  engine: NativeBinding,
): Promise<ReadonlyMap<string, ServedModel>> {
  const models = new Map<string, ServedModel>();
  for (const [name, path] of await modelFolders(folder)) {
    models.set(name, await loadModel(name, path, engine));
  }
  return models;
}

async function modelFolders(folder: string): Promise<[string, string][]> {
  if (!existsSync(folder)) {
    throw new SottoError("FILE_NOT_FOUND", folder, "expected a folder of compiled models");
  }
  if (!statSync(folder).isDirectory()) {
    throw new SottoError(
      "BAD_ARGUMENT",
      folder,
      "expected a folder of compiled models, got a file; name the folder that it lies in",
    );
  }
  const holdsModel = (path: string): boolean => existsSync(join(path, PROGRAM_FILE));
  const found: [string, string][] = holdsModel(folder)
    ? [[basename(resolve(folder)), folder]]
    : (await readdir(folder))
        .sort()
        .map((name): [string, string] => [name, join(folder, name)])
        .filter(([, path]) => holdsModel(path));
  if (found.length === 0) {
    throw new SottoError(
      "BAD_ARGUMENT",
      folder,
      `expected ${PROGRAM_FILE} and ${SPEC_FILE} here or in folders below; sotto compile writes them`,
    );
  }
  const odd = found.find(([name]) => !NAME.test(name));
  if (odd !== undefined) {
    throw new SottoError(
      "BAD_ARGUMENT",
      odd[1],
      "expected a folder's name of letters, digits, dots, - and _: it is part of an address",
    );
  }
  return found;
}

async function loadModel(name: string, path: string, engine: NativeBinding): Promise<ServedModel> {
  const program = await readFile(join(path, PROGRAM_FILE));
  if (!existsSync(join(path, SPEC_FILE))) {
    throw new SottoError(
      "FILE_NOT_FOUND",
      join(path, SPEC_FILE),
      "expected the client spec beside the program: clients fetch it from here",
    );
  }
  const clientSpec = await readFile(join(path, SPEC_FILE));
  const spec = decodeClientSpec(clientSpec);
  const server = new Server(program, engine);
  const modelId = toHex(server.modelId);
  if (toHex(spec.modelId) !== modelId) {
    throw new SottoError(
      "WRONG_MODEL",
      path,
      `expected ${PROGRAM_FILE} and ${SPEC_FILE} of one compilation, got two models`,
    );
  }
  const { parametersDigest } = decodeHeader(program, "program");
  const info: ModelInfo = {
    name,
    modelId,
    parametersDigest: toHex(parametersDigest),
    inputBytes: inputBytes(spec),
    evaluationKeyBytes: evaluationKeyBytes(spec.parameters),
    lookups: server.lookups,
  };
  return { info, server, clientSpec, expandedKeyBytes: expandedBytes(spec.parameters) };
}

/** What a handle takes besides; it bounds the number of keys of models without lookups, which have none to speak of. */
const HANDLE_BYTES = 64 << 10;

/** Bootstrap key in the Fourier domain and keyswitch key, as the engine holds them. */
function expandedBytes(parameters: CryptoParameters): number {
  const { lweDimension, bootstrap } = parameters;
  return (
    HANDLE_BYTES +
    lweDimension * bootstrapBytesPerBit(parameters, bootstrap.level) +
    KEYSWITCH_WORD_BYTES * keyswitchWords(parameters)
  );
}
