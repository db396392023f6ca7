#!/usr/bin/env node
/**
 * The `sotto` command.
 * @module
 */
import { bench } from "./bench.ts";
import { calibrate } from "./calibrate.ts";
import { compile } from "./compile.ts";
import { inspect } from "./inspect.ts";
import { predict } from "./predict.ts";
import { runToExit } from "./process.ts";
import { runCommandLine } from "./program.ts";
import { serve, token } from "./serve.ts";
import { decrypt, encrypt, keygen, run } from "./steps.ts";

const steps = { keygen, encrypt, run, decrypt };
const verbs = { inspect, predict, compile, ...steps, serve, token, bench, calibrate };

process.exitCode = await runToExit((signal) =>
  runCommandLine(process.argv.slice(2), verbs, signal),
);
