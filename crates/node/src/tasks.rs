//! Long calls: each is a task with one function that the synchronous and the asynchronous version
//! share. Bytes are copied first, since JavaScript may change them while the call runs.

use std::sync::Arc;

use napi::bindgen_prelude::Uint8Array;
use napi::{Env, Result, Task};
use sotto_engine as engine;

use crate::handles::{ClientKey, Control, Program, ServerKey};
use crate::{guard, parse_parameters};

/// Generation of evaluation keys.
pub struct EvaluationKeys {
    key: Arc<engine::ClientKey>,
    control: Arc<engine::Control>,
}

impl EvaluationKeys {
    pub(crate) fn new(key: &ClientKey, control: &Control) -> Self {
        Self { key: Arc::clone(&key.inner), control: Arc::clone(&control.inner) }
    }

    pub(crate) fn generate(&self) -> Result<Vec<u8>> {
        guard(|| self.key.evaluation_keys(&self.control))
    }
}

impl Task for EvaluationKeys {
    type Output = Vec<u8>;
    type JsValue = Uint8Array;

    fn compute(&mut self) -> Result<Vec<u8>> {
        self.generate()
    }

    fn resolve(&mut self, _env: Env, output: Vec<u8>) -> Result<Uint8Array> {
        Ok(output.into())
    }
}

/// Expansion of evaluation keys.
pub struct LoadServerKey {
    bytes: Vec<u8>,
    parameters: Vec<u8>,
    control: Arc<engine::Control>,
}

impl LoadServerKey {
    pub(crate) fn new(bytes: &[u8], parameters: &[u8], control: &Control) -> Self {
        let control = Arc::clone(&control.inner);
        Self { bytes: bytes.to_vec(), parameters: parameters.to_vec(), control }
    }

    pub(crate) fn load(&self) -> Result<engine::ServerKey> {
        guard(|| {
            let parameters = parse_parameters(&self.parameters)?;
            engine::ServerKey::from_bytes(&self.bytes, parameters, &self.control)
        })
    }
}

impl Task for LoadServerKey {
    type Output = engine::ServerKey;
    type JsValue = ServerKey;

    fn compute(&mut self) -> Result<engine::ServerKey> {
        self.load()
    }

    fn resolve(&mut self, _env: Env, output: engine::ServerKey) -> Result<ServerKey> {
        Ok(ServerKey::new(output))
    }
}

/// Execution of a program.
pub struct Run {
    program: Arc<engine::Program>,
    key: Option<Arc<engine::ServerKey>>,
    inputs: Vec<u8>,
    control: Arc<engine::Control>,
}

impl Run {
    pub(crate) fn new(
        program: &Program,
        key: Option<&ServerKey>,
        inputs: &[u8],
        control: &Control,
    ) -> Self {
        Self {
            program: Arc::clone(&program.inner),
            key: key.map(|key| Arc::clone(&key.inner)),
            inputs: inputs.to_vec(),
            control: Arc::clone(&control.inner),
        }
    }

    pub(crate) fn execute(&self) -> Result<Vec<u8>> {
        guard(|| engine::execute(&self.program, self.key.as_deref(), &self.inputs, &self.control))
    }
}

impl Task for Run {
    type Output = Vec<u8>;
    type JsValue = Uint8Array;

    fn compute(&mut self) -> Result<Vec<u8>> {
        self.execute()
    }

    fn resolve(&mut self, _env: Env, output: Vec<u8>) -> Result<Uint8Array> {
        Ok(output.into())
    }
}
