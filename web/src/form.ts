/**
 * The page with a form for a tabular model, made from the client spec; `models/NAME.json` may name columns and classes.
 * @module
 */
import type { ClientPort, ModelInfo } from "../../src/client/index.ts";
import { find, make } from "./elements.ts";
import { KeyPanel } from "./key-panel.ts";
import { Connection, Session } from "./session.ts";
import { WorkPanel } from "./work-panel.ts";

/** What a spec does not know: names for people. */
interface Labels {
  readonly inputs?: readonly { readonly label: string; readonly value?: number }[];
  readonly classes?: readonly string[];
}

/** A form longer than this is no form. */
const MAX_FIELDS = 200;

const connection = new Connection();
const form = find("form", HTMLFormElement);
const choice = find("model", HTMLSelectElement);
const send = make("button", { type: "submit", id: "send", disabled: true }, "Encrypt and send");
let session: Session | null = null;
let labels: Labels = {};
let hasKeys = false;
let isBusy = false;

const work = new WorkPanel({
  connection,
  classes: (count) =>
    labels.classes?.length === count
      ? labels.classes
      : Array.from({ length: count }, (_, i) => `class ${i}`),
});
const keys = new KeyPanel((isReady) => {
  hasKeys = isReady;
  updateButtons();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void predict();
});
void start();

async function start(): Promise<void> {
  try {
    const models = await connection.remote.models();
    const wanted = new URLSearchParams(location.search).get("model");
    const shown =
      models.find(({ name }) => name === wanted) ?? models.find(({ name }) => name !== "digits");
    if (shown === undefined) throw new Error("This server has no model for a form.");
    choice.append(...models.map(({ name }) => make("option", { value: name }, name)));
    choice.value = shown.name;
    find("model-choice", HTMLElement).hidden = models.length === 1;
    choice.addEventListener("change", () => {
      const model = models.find(({ name }) => name === choice.value);
      if (model !== undefined) void use(model);
    });
    await use(shown);
  } catch (error) {
    keys.fail(error);
  }
}

async function use(model: ModelInfo): Promise<void> {
  try {
    session?.client.close();
    session = await Session.open(connection, model);
    labels = await labelsOf(model);
    const { inputs } = session.client.spec;
    const size = inputs.reduce((total, { shape }) => total + sizeOf(shape), 0);
    if (inputs.length !== 1 || size > MAX_FIELDS) {
      throw new Error(
        `This page shows models with one input of at most ${MAX_FIELDS} numbers; ${model.name} has ${size}.`,
      );
    }
    form.replaceChildren(...fieldsOf(inputs[0]), make("div", { className: "buttons" }, send));
    await keys.use(session);
  } catch (error) {
    form.replaceChildren();
    keys.fail(error);
  }
}

async function labelsOf({ name }: ModelInfo): Promise<Labels> {
  const response = await fetch(`models/${encodeURIComponent(name)}.json`);
  return response.ok ? ((await response.json()) as Labels) : {};
}

function fieldsOf(port: ClientPort): HTMLElement[] {
  const { stats } = port.quantizer;
  return Array.from({ length: sizeOf(port.shape) }, (_, i) => {
    const { label = `${port.name} ${i + 1}`, value = 0 } = labels.inputs?.[i] ?? {};
    const id = `field-${i}`;
    const input = make("input", {
      id,
      name: id,
      type: "number",
      step: "any",
      required: true,
      value: String(value),
    });
    const field = make("div", { className: "field" }, make("label", { htmlFor: id }, label), input);
    if (stats && labels.inputs === undefined) {
      const hint = `${id}-hint`;
      input.setAttribute("aria-describedby", hint);
      field.append(
        make("small", { id: hint }, `${stats.rmin.toPrecision(3)} to ${stats.rmax.toPrecision(3)}`),
      );
    }
    return field;
  });
}

async function predict(): Promise<void> {
  if (session === null) return;
  isBusy = true;
  updateButtons();
  const fields = [...form.querySelectorAll("input")];
  const data = Float32Array.from(fields, (field) => field.valueAsNumber);
  await work.run(session, { shape: session.client.spec.inputs[0].shape, data });
  isBusy = false;
  updateButtons();
}

function updateButtons(): void {
  send.disabled = !hasKeys || isBusy;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, dim) => size * dim, 1);
}
