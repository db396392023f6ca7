/**
 * The page on which one draws a digit.
 * @module
 */
import { find } from "./elements.ts";
import { KeyPanel } from "./key-panel.ts";
import { Pad } from "./pad.ts";
import { Connection, Session } from "./session.ts";
import { SIDE, imageOf } from "./strokes.ts";
import { WorkPanel } from "./work-panel.ts";

/** The digits model's input, whatever the model is called. */
const SHAPE = [1, 1, SIDE, SIDE];

const connection = new Connection();
const work = new WorkPanel({
  connection,
  classes: (count) => Array.from({ length: count }, (_, digit) => String(digit)),
});
const send = find("send", HTMLButtonElement);
const preview = find("preview", HTMLCanvasElement);
let session: Session | null = null;
let image: Float32Array = new Float32Array(SIDE * SIDE);
let hasKeys = false;
let isBusy = false;
let isPainted = true;

const pad = new Pad(find("pad", HTMLCanvasElement), () => {
  if (isPainted) requestAnimationFrame(showImage);
  isPainted = false;
});
const keys = new KeyPanel((isReady) => {
  hasKeys = isReady;
  updateButtons();
});
find("clear", HTMLButtonElement).addEventListener("click", () => pad.clear());
send.addEventListener("click", () => void predict());
void start();

async function start(): Promise<void> {
  try {
    const models = await connection.remote.models();
    const wanted = new URLSearchParams(location.search).get("model") ?? "digits";
    const model = models.find(({ name }) => name === wanted);
    if (model === undefined) {
      throw new Error(
        `This server has no model "${wanted}" for this page; it has ${models.map(({ name }) => name).join(", ")}.`,
      );
    }
    session = await Session.open(connection, model);
    const { shape } = session.client.spec.inputs[0];
    if (shape.join() !== SHAPE.join()) {
      throw new Error(
        `This page draws images of shape ${SHAPE.join()}, this model reads ${shape.join()}.`,
      );
    }
    await keys.use(session);
  } catch (error) {
    keys.fail(error);
  }
}

async function predict(): Promise<void> {
  if (session === null) return;
  isBusy = true;
  updateButtons();
  await work.run(session, { shape: SHAPE, data: image });
  isBusy = false;
  updateButtons();
}

/** At most once a frame, however fast the pen is. */
function showImage(): void {
  isPainted = true;
  image = imageOf(pad.strokes);
  const context = preview.getContext("2d");
  const pixels = new ImageData(SIDE, SIDE);
  image.forEach((value, i) => {
    pixels.data.set([27, 31, 29, Math.round(255 * value)], 4 * i);
  });
  context?.putImageData(pixels, 0, 0);
  updateButtons();
}

function updateButtons(): void {
  send.disabled = !hasKeys || isBusy || pad.strokes.length === 0;
}
