/**
 * A compiled circuit as users hold it: keys, encryption, execution, decryption, simulation, statistics.
 * @module
 */
import { type TensorOrList, oneOrAll, tensorsOf } from "../tensor/list.ts";
import { Client, decodeOutputs } from "../client/client.ts";
import { encodeCodes } from "../client/codec.ts";
import { evaluate } from "../circuit/evaluate.ts";
import type { Circuit } from "../circuit/ir.ts";
import { SottoError, checkKeys } from "../errors.ts";
import type { ClientSpec } from "../format/client-spec.ts";
import type { Program } from "../lower/program.ts";
import type { NativeBinding } from "../native/binding.ts";
import { type RunOptions, withControl } from "../native/control.ts";
import { loadEngine } from "../native/load.ts";
import type { ParameterChoice } from "../parameters/choice.ts";
import type { EncodingPlan } from "../parameters/encoding-plan.ts";
import { checkCodes } from "../quantization/check.ts";
import { type Steps, type Watch, finish, finishAsync } from "../steps.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { overflowsInSteps } from "./overflow.ts";
import { Server } from "./server.ts";
import { type SimulationOptions, simulateInSteps } from "./simulate.ts";
import { type Statistics, statisticsOf } from "./statistics.ts";

/** What the compiler hands over. */
export interface CompiledParts {
  readonly circuit: Circuit;
  readonly program: Program;
  readonly programBytes: Uint8Array;
  readonly spec: ClientSpec;
  readonly choice: ParameterChoice;
  readonly plan: EncodingPlan;
}

/** A compiled circuit with, once generated, its keys. Methods without `Async` block the thread. */
export class FheCircuit {
  readonly parts: CompiledParts;
  readonly statistics: Statistics;
  #client: Client | null = null;
  #server: Server | null = null;
  #hasKeys = false;
  /** Overflows of the last simulation: clear integers beyond the interval that the parameters were made for. */
  overflows = 0;

  constructor(parts: CompiledParts) {
    this.parts = parts;
    this.statistics = statisticsOf(parts);
  }

  /** The client's half: holds the secret key. Throws NATIVE_MISSING. */
  get client(): Client {
    this.#client ??= new Client(this.parts.spec, loadEngine());
    return this.#client;
  }

  /** The server's half: holds the evaluation keys. Throws NATIVE_MISSING. */
  get server(): Server {
    this.#server ??= new Server(this.parts.programBytes, loadEngine());
    return this.#server;
  }

  /** Generates the secret key and the evaluation keys, unless there are some; `force` replaces them. */
  keygen(options: KeygenOptions = {}): void {
    checkKeys(options, ["force", "seed", "threads"]);
    const { force = false, seed, threads = 0 } = options;
    if (this.#hasKeys && !force) return;
    const engine = loadEngine();
    this.client.generateKey(seed);
    this.server.loadKeysSync(this.client.evaluationKeysSync(engine.newControl(threads)), threads);
    this.#hasKeys = true;
  }

  /**
   * The same off this thread, with progress and cancellation. Returns the evaluation keys as sent, or null when there were
   * keys. A call that fails or is cancelled leaves no keys behind.
   */
  async keygenAsync(options: RunOptions & KeygenOptions = {}): Promise<Uint8Array | null> {
    if (this.#hasKeys && !options.force) return null;
    const engine: NativeBinding = loadEngine();
    this.#hasKeys = false;
    this.client.generateKey(options.seed);
    const bytes = await withControl(engine, options, (control) =>
      this.client.evaluationKeys(control),
    );
    await this.server.loadKeys(bytes, options);
    this.#hasKeys = true;
    return bytes;
  }

  /** Takes keys that were made before: the secret key and the evaluation keys. */
  async loadKeys(
    secretKey: Uint8Array,
    evaluationKeys: Uint8Array,
    options: RunOptions = {},
  ): Promise<void> {
    this.client.loadKey(secretKey);
    await this.server.loadKeys(evaluationKeys, options);
    this.#hasKeys = true;
  }

  /** Encrypts one row of codes (one tensor, or a list for several inputs); generates keys if there are none. */
  encrypt(codes: TensorOrList): Uint8Array {
    this.keygen();
    return this.client.encrypt(tensorsOf(codes));
  }

  /** Runs on encrypted inputs, which only a client with this circuit's keys can have made. */
  run(inputs: Uint8Array, threads = 0): Uint8Array {
    return this.server.runSync(inputs, threads);
  }

  /** The same off this thread, with progress in lookups and cancellation. */
  runAsync(inputs: Uint8Array, options: RunOptions = {}): Promise<Uint8Array> {
    return this.server.run(inputs, options);
  }

  /** Decrypts an answer to codes. */
  decrypt<T extends Tensor | readonly Tensor[] = Tensor>(outputs: Uint8Array): T {
    return oneOrAll<T>(this.client.decrypt(outputs));
  }

  /** Rows of codes in, rows of codes out, encrypted in between, row by row. */
  encryptRunDecrypt<T extends Tensor | readonly Tensor[] = Tensor>(codes: TensorOrList): T {
    const rows = splitRows(tensorsOf(codes));
    return oneOrAll<T>(
      joinRows(rows.map((row) => this.client.decrypt(this.run(this.encrypt(row))))),
    );
  }

  /** Rows of codes in, rows of codes out, in the clear: exact integers without width limits. */
  evaluate(codes: TensorOrList): Tensor[] {
    const tensors = tensorsOf(codes);
    checkCodes(this.parts.spec.inputs, tensors);
    return evaluate(this.parts.circuit, tensors);
  }

  /** Rows of codes in, rows of codes out, as the encrypted program would give them, noise and overflow included. */
  simulate<T extends Tensor | readonly Tensor[] = Tensor>(
    codes: TensorOrList,
    options: SimulationOptions = {},
  ): T {
    return oneOrAll<T>(finish(this.#simulateInSteps(tensorsOf(codes), options)));
  }

  /** The same with progress and cancellation, between which other work gets its turn. */
  async simulateAsync<T extends Tensor | readonly Tensor[] = Tensor>(
    codes: TensorOrList,
    { signal, onProgress, ...options }: SimulationOptions & Watch = {},
  ): Promise<T> {
    const steps = this.#simulateInSteps(tensorsOf(codes), options);
    const watch = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
    return oneOrAll<T>(await finishAsync(steps, watch));
  }

  *#simulateInSteps(tensors: readonly Tensor[], options: SimulationOptions): Steps<Tensor[]> {
    const { spec, program, circuit, plan } = this.parts;
    checkCodes(spec.inputs, tensors);
    this.overflows = yield* overflowsInSteps(circuit, plan, spec.outputs, tensors);
    const results: Tensor<"int64">[][] = [];
    for (const row of splitRows(tensors)) {
      const inputs = row.map((input, i) => encodeCodes(spec.inputs[i], input));
      results.push(decodeOutputs(spec, yield* simulateInSteps(program, inputs, options)));
    }
    return joinRows(results);
  }
}

/** Options of key generation. */
export interface KeygenOptions {
  /** Replace existing keys. */
  readonly force?: boolean;
  /** 16 bytes that make the keys reproducible, for tests only. */
  readonly seed?: Uint8Array;
  readonly threads?: number;
}

/** Batches to lists of single rows: result[row][input]. */
export function splitRows(tensors: readonly Tensor[]): Tensor[][] {
  if (tensors.length === 0)
    throw new SottoError("BAD_SHAPE", "rows", "expected at least one tensor");
  const [count] = tensors[0].shape;
  return Array.from({ length: count }, (_, row) =>
    tensors.map(({ dtype, shape, data }) => {
      const size = data.length / count;
      return tensor(dtype, [1, ...shape.slice(1)], data.slice(row * size, (row + 1) * size));
    }),
  );
}

/** The inverse of `splitRows`. */
export function joinRows<T extends Tensor>(rows: readonly (readonly T[])[]): T[] {
  return rows[0].map(({ dtype, shape, data: first }, i) => {
    const data = new Float64Array(rows.length * first.length);
    rows.forEach((row, r) => data.set(row[i].data, r * first.length));
    return tensor(dtype, [rows.length, ...shape.slice(1)], data) as T;
  });
}
