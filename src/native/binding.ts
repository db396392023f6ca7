/**
 * The typed face of the native engine (crates/node). Only `load.ts` creates it; every `Uint8Array` blob is in the
 * format of docs/format.md. Engine failures arrive as Error with message "CODE|where|text"; `load.ts` turns them into
 * SottoError.
 * @module
 */

/** Threads, cancellation and progress of one call; poll `done()` from a timer. */
export interface NativeControl {
  /** Work units finished so far: lookups in a run, generated or converted GGSW ciphertexts in key generation. */
  done(): number;
  /** Work units of the running call; 0 before it starts. */
  total(): number;
  /** After a run: how long each instruction took; empty after other calls. */
  instructionNanoseconds(): Float64Array;
  /** Makes the call fail with CANCELLED within one batch. */
  cancel(): void;
}

/** The client's secret key. Its bytes never leave the client. */
export interface NativeClientKey {
  readonly keyId: Uint8Array;
  toBytes(): Uint8Array;
  /** Seeded evaluation keys as sent to the server. */
  evaluationKeys(control: NativeControl): Promise<Uint8Array>;
  evaluationKeysSync(control: NativeControl): Uint8Array;
  /** Encrypts torus plaintexts, one flat array per input tensor, as seeded LWE ciphertexts under the big key. */
  /** Tensors whose index is in `clear` (default: none) are sent as they are. */
  encrypt(modelId: Uint8Array, plaintexts: BigUint64Array[], clear?: number[]): Uint8Array;
  /** Phases (torus plaintext plus noise), one flat array per output tensor. */
  decrypt(modelId: Uint8Array, outputs: Uint8Array): BigUint64Array[];
}

/** Evaluation keys expanded for execution. */
export interface NativeServerKey {
  readonly keyId: Uint8Array;
  readonly parametersDigest: Uint8Array;
}

export interface NativeProgram {
  readonly modelId: Uint8Array;
  readonly parametersDigest: Uint8Array;
  readonly lookups: number;
  /** False where a run works without evaluation keys. */
  readonly needsKeys: boolean;
}

/** What to sample in `measureNoise`; see docs/noise.md. */
export type NoiseStage = "fresh" | "linear" | "keyswitch" | "modulusSwitch" | "lookup";

export interface NativeBinding {
  version(): string;
  /** threads 0: all cores. */
  newControl(threads: number): NativeControl;
  /** `parameters` is the 48-byte block of docs/format.md; `seed` (16 bytes) makes keys reproducible, for tests only. */
  generateClientKey(parameters: Uint8Array, seed?: Uint8Array): NativeClientKey;
  loadClientKey(bytes: Uint8Array, parameters: Uint8Array): NativeClientKey;
  loadServerKey(
    bytes: Uint8Array,
    parameters: Uint8Array,
    control: NativeControl,
  ): Promise<NativeServerKey>;
  loadServerKeySync(
    bytes: Uint8Array,
    parameters: Uint8Array,
    control: NativeControl,
  ): NativeServerKey;
  parseProgram(bytes: Uint8Array): NativeProgram;
  run(
    program: NativeProgram,
    key: NativeServerKey | null,
    inputs: Uint8Array,
    control: NativeControl,
  ): Promise<Uint8Array>;
  runSync(
    program: NativeProgram,
    key: NativeServerKey | null,
    inputs: Uint8Array,
    control: NativeControl,
  ): Uint8Array;
  /** Nanoseconds of each of `iterations` lookups (keyswitch + switch + blind rotation + extract), one thread, no batching. */
  timeRawLookup(parameters: Uint8Array, extensionLog: number, iterations: number): Float64Array;
  /**
   * Times one batch of lookups on one thread, under random keys: nanoseconds for each lookup of the keyswitch (with the
   * modulus switch) and of the blind rotation (with extraction).
   */
  timeLookups(parameters: Uint8Array, extensionLog: number, batch: number): Float64Array;
  /**
   * Noise samples (fraction of the torus, signed) after one stage, under a fresh key. `linear` and later stages start from
   * fresh ciphertexts combined with `weights`; `keyswitch` and `modulusSwitch` give the error that the stage alone adds;
   * `lookup` gives the error of the lookup's output.
   */
  measureNoise(
    parameters: Uint8Array,
    stage: NoiseStage,
    weights: Int32Array,
    extensionLog: number,
    samples: number,
  ): Float64Array;
}
