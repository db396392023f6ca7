/** Whose turn it is. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FairQueue } from "../../../src/server/fair-queue.ts";

function drain<T>(queue: FairQueue<T>): T[] {
  const taken: T[] = [];
  for (let work = queue.take(); work !== undefined; work = queue.take()) taken.push(work);
  return taken;
}

test("tenants take turns, and within a tenant its keys", () => {
  const queue = new FairQueue<string>();
  for (const work of ["a1", "a2", "a3"]) queue.push("a", "k", work);
  queue.push("a", "l", "a-l1");
  queue.push("b", "k", "b1");
  queue.push("b", "k", "b2");
  expect(drain(queue)).toEqual(["a1", "b1", "a-l1", "b2", "a2", "a3"]);
});

test("a tenant that comes late waits for one piece of work of each other", () => {
  const queue = new FairQueue<string>();
  for (let i = 0; i < 100; i++) queue.push("greedy", "k", `g${i}`);
  expect(queue.take()).toBe("g0");
  queue.push("late", "k", "l0");
  expect([queue.take(), queue.take()]).toEqual(["g1", "l0"]);
});

test("work can be taken out of turn, once", () => {
  const queue = new FairQueue<string>();
  queue.push("a", "k", "a1");
  queue.push("a", "k", "a2");
  expect(queue.remove("a", "k", "a1")).toBe(true);
  expect(queue.remove("a", "k", "a1")).toBe(false);
  expect(queue.remove("b", "k", "a1")).toBe(false);
  expect(queue.size).toBe(1);
  expect(drain(queue)).toEqual(["a2"]);
});

test("nothing is lost or given twice, one key's work stays in order, and no one is passed over", () => {
  const work = fc.record({
    tenant: fc.integer({ min: 0, max: 3 }),
    key: fc.integer({ min: 0, max: 2 }),
  });
  fc.assert(
    fc.property(fc.array(work, { maxLength: 60 }), (all) => {
      const queue = new FairQueue<number>();
      all.forEach(({ tenant, key }, index) => queue.push(String(tenant), String(key), index));
      const taken = drain(queue);
      expect([...taken].sort((a, b) => a - b)).toEqual(all.map((_, index) => index));
      const lineOf = (index: number): string => `${all[index]?.tenant}/${all[index]?.key}`;
      for (const line of new Set(taken.map(lineOf))) {
        const own = taken.filter((index) => lineOf(index) === line);
        expect(own).toEqual([...own].sort((a, b) => a - b));
      }
      // Between two turns of a tenant, every tenant that waits has one.
      const tenants = taken.map((index) => all[index]?.tenant);
      tenants.forEach((tenant, at) => {
        const again = tenants.indexOf(tenant, at + 1);
        if (again < 0) return;
        const waiting = new Set(tenants.slice(again));
        const between = new Set(tenants.slice(at, again));
        for (const other of waiting) expect(between).toContain(other);
      });
    }),
  );
});
