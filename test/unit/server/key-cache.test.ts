/** The cache of expanded keys: never more bytes than it may hold, and no key that is in use goes. */
import { expect, test } from "vitest";
import { KeyCache } from "../../../src/server/key-cache.ts";

const none = () => Promise.resolve();
const key = (name: string) => () => Promise.resolve(name);

/** A run that lasts until it is told to end. */
function run(cache: KeyCache<string>, name: string, bytes: number) {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const result = cache.with(name, bytes, key(name), (held) => ended.then(() => held));
  return { end: () => end(), result };
}

test("a key that was used is there the next time", async () => {
  const cache = new KeyCache<string>(100, none);
  for (let i = 0; i < 3; i++) expect(await cache.with("a", 60, key("a"), key("used"))).toBe("used");
  expect([cache.bytes, cache.misses, cache.hits]).toEqual([60, 1, 2]);
});

test("the least recently used goes first, before the new one is expanded", async () => {
  const cache = new KeyCache<string>(100, none);
  const held: number[] = [];
  const use = async (name: string) => {
    const expand = () => (held.push(cache.bytes), Promise.resolve(name));
    await cache.with(name, 40, expand, key(name));
  };
  for (const name of ["a", "b", "a", "c", "a", "b"]) await use(name);
  expect(cache.misses).toBe(4); // a, b, c for b, b for c
  expect(Math.max(...held, cache.bytes)).toBeLessThanOrEqual(100);
});

test("a key in use stays, and a run waits for room", async () => {
  const cache = new KeyCache<string>(100, none);
  const first = run(cache, "a", 60);
  const second = run(cache, "b", 60);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect([cache.bytes, cache.misses]).toEqual([60, 1]);
  first.end();
  second.end();
  expect(await Promise.all([first.result, second.result])).toEqual(["a", "b"]);
  expect([cache.bytes, cache.misses]).toEqual([60, 2]);
});

test("two runs of one key expand it once", async () => {
  const cache = new KeyCache<string>(100, none);
  const runs = [run(cache, "a", 60), run(cache, "a", 60)];
  for (const { end } of runs) end();
  await Promise.all(runs.map(({ result }) => result));
  expect([cache.misses, cache.hits]).toEqual([1, 1]);
});

test("a key that cannot be expanded leaves nothing behind", async () => {
  const cache = new KeyCache<string>(100, none);
  const fail = () => Promise.reject(new Error("damaged"));
  await expect(cache.with("a", 60, fail, key("a"))).rejects.toThrow("damaged");
  expect(cache.bytes).toBe(0);
  expect(await cache.with("a", 60, key("a"), key("fine"))).toBe("fine");
});

test("a forgotten key is expanded anew", async () => {
  const cache = new KeyCache<string>(100, none);
  await cache.with("a", 60, key("a"), key("a"));
  await cache.forget("a");
  await cache.forget("a");
  expect(cache.bytes).toBe(0);
  await cache.with("a", 60, key("a"), key("a"));
  expect(cache.misses).toBe(2);
});
