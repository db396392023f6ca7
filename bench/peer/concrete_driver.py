"""Concrete ML on one work, as a process of its own. Appends one JSON object per setting to the file OUT, a line each.

    concrete_driver.py survey WORK SETTINGS.json OUT     compiles; classes of all rows in the clear
    concrete_driver.py simulate WORK SETTINGS.json OUT   classes of the test rows simulated, with noise
    concrete_driver.py time WORK SETTINGS.json OUT ROWS  compiles, generates keys, runs ROWS rows encrypted
"""

import json
import resource
import sys
import time

import numpy
import onnx
from concrete.ml.torch.compile import compile_onnx_model

from works import P_ERROR, WORKS, fixture


def megabytes():
    """Largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clock:
    """Wall and processor seconds of a `with` block."""

    def __enter__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        self.wall = time.perf_counter() - self.wall
        self.cpu = time.process_time() - self.cpu


def load(work, name):
    return numpy.load(fixture(work, name))


def build(work, setting):
    """The compiled module. For a model trained with quantization the bits are those of `compile_brevitas_qat_model`."""
    n_bits = setting["n_bits"]
    if n_bits is None:
        n_bits = dict.fromkeys(["model_inputs", "op_weights", "op_inputs", "model_outputs"], 8)
    return compile_onnx_model(
        onnx.load(fixture(work, "model.onnx")),
        load(work, "calibration.npy"),
        import_qat=work["qat"],
        n_bits=n_bits,
        rounding_threshold_bits=setting["rounding"],
        p_error=P_ERROR,
    )


def classes(outputs):
    return numpy.asarray(outputs).reshape(len(outputs), -1).argmax(axis=1)


def costs(circuit):
    return {
        "lookups": circuit.programmable_bootstrap_count,
        "complexity": circuit.complexity,
        "maxBitWidth": circuit.graph.maximum_integer_bit_width(),
        "pError": circuit.p_error,
        "rawKeyBytes": circuit.size_of_bootstrap_keys + circuit.size_of_keyswitch_keys,
    }


def survey(work, setting, _rows):
    with Clock() as compiling:
        module = build(work, setting)
    return {
        **costs(module.fhe_circuit),
        "compileSeconds": compiling.wall,
        "clear": classes(module.forward(load(work, "inputs.npy"), fhe="disable")).tolist(),
        "calibration": classes(module.forward(load(work, "calibration.npy"), fhe="disable")).tolist(),
    }


def simulate(work, setting, _rows):
    module = build(work, setting)
    with Clock() as simulating:
        simulated = classes(module.forward(load(work, "inputs.npy"), fhe="simulate"))
    return {"simulated": simulated.tolist(), "simulateSeconds": simulating.wall}


def measure(work, setting, count):
    memory = {"imports": megabytes()}
    inputs = load(work, "inputs.npy")[:count]
    with Clock() as compiling:
        module = build(work, setting)
    circuit = module.fhe_circuit
    memory["compile"] = megabytes()
    with Clock() as generating:
        circuit.keygen(force=True)
    memory["keygen"] = megabytes()
    seconds = {name: [] for name in ("encrypt", "run", "decrypt")}
    cores, found, sizes = [], [], {}
    for row in inputs:
        with Clock() as encrypting:
            arguments = circuit.encrypt(module.quantize_input(row[None]))
        with Clock() as running:
            answer = circuit.run(arguments)
        with Clock() as decrypting:
            output = module.dequantize_output(circuit.decrypt(answer))
        for name, clock in zip(seconds, (encrypting, running, decrypting), strict=True):
            seconds[name].append(clock.wall)
        cores.append(running.cpu / running.wall)
        found.append(int(classes(output)[0]))
        sizes = {"inputBytes": len(arguments.serialize()), "outputBytes": len(answer.serialize())}
    memory["run"] = megabytes()
    return {
        **costs(circuit),
        "compileSeconds": compiling.wall,
        "keygenSeconds": generating.wall,
        "keygenCores": generating.cpu / generating.wall,
        **{f"{name}Seconds": values for name, values in seconds.items()},
        "runCores": cores,
        **sizes,
        # Last, so that the copy does not count as memory of the run.
        "keyBytes": len(circuit.client.evaluation_keys.serialize()),
        "peakMegabytes": memory["run"],
        "megabytesAfter": memory,
        "encrypted": found,
        "clear": classes(module.forward(inputs, fhe="disable")).tolist(),
    }


VERBS = {"survey": survey, "simulate": simulate, "time": measure}


def main(verb, work_name, settings_path, out, rows="1"):
    work = next(work for work in WORKS if work["name"] == work_name)
    with open(settings_path) as file:
        settings = json.load(file)
    with open(out, "a") as results:
        for setting in settings:
            try:
                result = VERBS[verb](work, setting, int(rows))
            except (RuntimeError, ValueError, AssertionError) as error:
                result = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
            line = {"work": work_name, "setting": setting["name"], **result}
            results.write(json.dumps(line) + "\n")
            results.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
