/**
 * Elements of a page, made and found.
 * @module
 */

/** A new element with properties and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** The element of an id in the page's HTML. */
export function find<T extends Element>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`internal: the page has no ${type.name} #${id}`);
}

/** A bar of a share of its cell, 0 to 1; only for the eye, the number stands beside it. */
export function makeBar(start: number, length: number): HTMLTableCellElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 100 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const bar = document.createElementNS(space, "rect");
  bar.setAttribute("x", String(100 * start));
  bar.setAttribute("width", String(Math.max(0.3, 100 * length)));
  bar.setAttribute("height", "10");
  svg.append(bar);
  return make("td", { className: "bar" }, svg);
}
