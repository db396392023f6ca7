/**
 * The drawing area: mouse, finger, pen, or the keyboard.
 * @module
 */
import type { Point } from "./strokes.ts";

/** Steps of the keyboard's pen across the area. */
const GRID = 16;
const INK = "#1b1f1d";
const LINE = 0.09;

export class Pad {
  readonly #canvas: HTMLCanvasElement;
  readonly #onChange: () => void;
  #strokes: Point[][] = [];
  #pointer: number | null = null;
  /** The keyboard's pen; null until a key moves it. */
  #pen: { readonly at: Point; readonly isDown: boolean } | null = null;

  constructor(canvas: HTMLCanvasElement, onChange: () => void) {
    this.#canvas = canvas;
    this.#onChange = onChange;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel"] as const) {
      canvas.addEventListener(type, () => {
        this.#pointer = null;
      });
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#paint();
  }

  get strokes(): readonly (readonly Point[])[] {
    return this.#strokes;
  }

  clear(): void {
    this.#strokes = [];
    this.#pen = null;
    this.#changed();
  }

  #down(event: PointerEvent): void {
    event.preventDefault();
    this.#canvas.focus({ preventScroll: true });
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointer = event.pointerId;
    this.#strokes.push([this.#pointOf(event)]);
    this.#changed();
  }

  #move(event: PointerEvent): void {
    if (event.pointerId !== this.#pointer) return;
    this.#strokes[this.#strokes.length - 1].push(this.#pointOf(event));
    this.#changed();
  }

  #pointOf({ clientX, clientY }: PointerEvent): Point {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    const clamp = (value: number): number => Math.min(1, Math.max(0, value));
    return { x: clamp((clientX - left) / width), y: clamp((clientY - top) / height) };
  }

  #key(event: KeyboardEvent): void {
    const steps: Record<string, readonly [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const step = steps[event.key];
    const pen = this.#pen ?? { at: { x: 0.5, y: 0.5 }, isDown: false };
    if (step !== undefined) {
      const clamp = (value: number): number => Math.min(1, Math.max(0, value));
      const at = { x: clamp(pen.at.x + step[0] / GRID), y: clamp(pen.at.y + step[1] / GRID) };
      if (pen.isDown) this.#strokes[this.#strokes.length - 1].push(at);
      this.#pen = { ...pen, at };
    } else if (event.key === " " || event.key === "Enter") {
      if (!pen.isDown) this.#strokes.push([pen.at]);
      this.#pen = { ...pen, isDown: !pen.isDown };
    } else if (event.key === "Escape") {
      this.clear();
    } else {
      return;
    }
    event.preventDefault();
    this.#changed();
  }

  #changed(): void {
    this.#paint();
    this.#onChange();
  }

  #paint(): void {
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    if (context === null) return;
    context.clearRect(0, 0, width, height);
    context.lineCap = "round";
    context.lineJoin = "round";
    context.lineWidth = LINE * width;
    context.strokeStyle = INK;
    for (const stroke of this.#strokes) {
      context.beginPath();
      const [{ x, y }] = stroke;
      context.moveTo(x * width, y * height);
      for (const point of stroke) context.lineTo(point.x * width, point.y * height);
      context.stroke();
    }
    if (this.#pen === null) return;
    context.lineWidth = 4;
    context.strokeStyle = this.#pen.isDown ? "#0b6e4f" : "#a3211b";
    context.beginPath();
    context.arc(this.#pen.at.x * width, this.#pen.at.y * height, 14, 0, 2 * Math.PI);
    context.stroke();
  }
}
