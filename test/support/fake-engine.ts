/**
 * An engine that takes exactly the time that a cost model says, without computing anything. Needs fake timers for
 * `performance`.
 * @module
 */
import { vi } from "vitest";
import type { TimingEngine } from "../../src/calibration/measure.ts";
import {
  bootstrapBytesPerBit,
  type CostModel,
  externalProductCost,
  KEYSWITCH_WORD_BYTES,
  keyswitchWords,
} from "../../src/parameters/cost.ts";
import { decodeParameters } from "../../src/parameters/encoding.ts";

/** Nanoseconds that this engine's programs take for each byte of theirs. */
export const NANOSECONDS_PER_BYTE = 50;

/** The engine, and the lengths of the programs that it ran. */
export function fakeEngine(truth: CostModel): {
  readonly engine: TimingEngine;
  readonly timed: { calls: number; readonly programs: number[] };
} {
  const timed = { calls: 0, programs: [] as number[] };
  const engine: TimingEngine = {
    timeLookups(block, extensionLog, batch) {
      timed.calls++;
      const p = decodeParameters(block);
      const { level } = p.bootstrap;
      const bytes = bootstrapBytesPerBit(p, level) / batch;
      const product = 2 ** extensionLog * externalProductCost(p, level, truth);
      const word = truth.keyswitch + (truth.stream * KEYSWITCH_WORD_BYTES) / batch;
      const rotation = p.lweDimension * (product + truth.stream * bytes);
      return Float64Array.of(keyswitchWords(p) * word, rotation);
    },
    generateClientKey: () => ({
      keyId: new Uint8Array(16),
      toBytes: () => new Uint8Array(0),
      evaluationKeys: () => Promise.resolve(new Uint8Array(0)),
      evaluationKeysSync: () => new Uint8Array(0),
      encrypt: () => new Uint8Array(0),
      decrypt: () => [],
    }),
    newControl: () => ({
      done: () => 0,
      total: () => 0,
      cancel: () => undefined,
      instructionNanoseconds: () => new Float64Array(0),
    }),
    // The length of a program stands for its work.
    parseProgram: ({ length }) => ({
      modelId: new Uint8Array(16),
      parametersDigest: new Uint8Array(32),
      lookups: length,
      needsKeys: true,
    }),
    runSync({ lookups: length }) {
      timed.programs.push(length);
      vi.advanceTimersByTime((NANOSECONDS_PER_BYTE * length) / 1e6);
      return new Uint8Array(0);
    },
  };
  return { engine, timed };
}
