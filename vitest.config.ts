/**
 * Test projects: `unit` needs no native engine, `encrypted` runs the real one, `e2e` drives the command line,
 * `server` a server process, `browser` the pages in Chromium.
 * @module
 */
import { type ViteUserConfig, defineConfig } from "vitest/config";

const project = (name: string, include: string[], testTimeout: number) => ({
  resolve: { conditions: ["dev", "node", "import", "module", "default"] },
  ssr: { resolve: { conditions: ["dev", "node", "import", "module", "default"] } },
  test: { name, include, testTimeout, hookTimeout: testTimeout },
});

const config: ViteUserConfig = defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project("unit", ["src/**/*.test.ts", "test/unit/**/*.test.ts"], 60_000),
      project("encrypted", ["test/encrypted/**/*.test.ts"], 600_000),
      project("e2e", ["test/e2e/**/*.test.ts"], 600_000),
      project("server", ["test/server/**/*.test.ts"], 600_000),
      project("browser", ["test/browser/**/*.test.ts"], 600_000),
    ],
  },
});

export default config;
