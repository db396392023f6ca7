/**
 * The page with a form for a tabular model, made from the client spec; `models/NAME.json` may name columns and classes.
 * @module
 */
import type { ClientPort, ModelInfo } from "../../src/client/index.ts";
import { find, make } from "./elements.ts";
import { KeyPanel } from "./key-panel.ts";
import { Connection, Session } from "./session.ts";
import { WorkPanel } from "./work-panel.ts";

/** One number of a form; where there is a range, the model reads 0 at its lower end and 1 at its upper. */
interface Column {
  readonly label: string;
  readonly value?: number;
  readonly low?: number;
  readonly high?: number;
}

/** What a spec does not know: names for people, and their units. */
interface Labels {
  readonly inputs?: readonly Column[];
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
  return columnsOf(port).map(({ label, value = 0, low, high }, i) => {
    const id = `field-${i}`;
    const input = make("input", {
      id,
      type: "number",
      step: "any",
      required: true,
      value: String(value),
    });
    const field = make("div", { className: "field" }, make("label", { htmlFor: id }, label), input);
    if (low !== undefined && high !== undefined) {
      const hint = `${id}-hint`;
      input.setAttribute("aria-describedby", hint);
      field.append(make("small", { id: hint }, `usually ${low} to ${high}`));
    }
    return field;
  });
}

/** Columns by the labels, or by their number where there are none that fit. */
function columnsOf({ name, shape }: ClientPort): readonly Column[] {
  const size = sizeOf(shape);
  if (labels.inputs?.length === size) return labels.inputs;
  return Array.from({ length: size }, (_, i) => ({ label: `${name} ${i + 1}` }));
}

/** What the model reads. */
function rowOf(port: ClientPort): Float32Array {
  const fields = [...form.querySelectorAll("input")];
  return Float32Array.from(columnsOf(port), ({ low = 0, high = 1 }, i) => {
    return (fields[i].valueAsNumber - low) / (high - low);
  });
}

async function predict(): Promise<void> {
  if (session === null) return;
  isBusy = true;
  updateButtons();
  const [port] = session.client.spec.inputs;
  await work.run(session, { shape: port.shape, data: rowOf(port) });
  isBusy = false;
  updateButtons();
}

function updateButtons(): void {
  send.disabled = !hasKeys || isBusy;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, dim) => size * dim, 1);
}
