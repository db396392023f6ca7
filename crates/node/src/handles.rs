//! One class for each handle that JavaScript holds. Handles share what they point to, so a task may
//! outlive the JavaScript object.

use std::sync::Arc;

use napi::Result;
use napi::bindgen_prelude::{AsyncTask, BigUint64Array, Float64Array, Uint8Array};
use napi_derive::napi;
use sotto_engine as engine;

use crate::tasks::EvaluationKeys;
use crate::{guard, sixteen_bytes};

/// Threads, progress and cancellation of one call.
#[napi]
pub struct Control {
    pub(crate) inner: Arc<engine::Control>,
}

impl Control {
    pub(crate) fn new(threads: usize) -> Self {
        Self { inner: Arc::new(engine::Control::new(threads)) }
    }
}

#[napi]
impl Control {
    /// Work units finished.
    #[napi]
    pub fn done(&self) -> f64 {
        self.inner.done() as f64
    }

    /// Work units of the call.
    #[napi]
    pub fn total(&self) -> f64 {
        self.inner.total() as f64
    }

    /// Nanoseconds of each instruction that a run has finished.
    #[napi]
    pub fn instruction_nanoseconds(&self) -> Float64Array {
        self.inner.instruction_nanoseconds().into()
    }

    /// Makes the call fail soon.
    #[napi]
    pub fn cancel(&self) {
        self.inner.cancel();
    }
}

/// The client's secret key.
#[napi]
pub struct ClientKey {
    pub(crate) inner: Arc<engine::ClientKey>,
}

impl ClientKey {
    pub(crate) fn new(key: engine::ClientKey) -> Self {
        Self { inner: Arc::new(key) }
    }
}

#[napi]
impl ClientKey {
    /// Random public name of the key.
    #[napi(getter)]
    pub fn key_id(&self) -> Uint8Array {
        self.inner.key_id().as_slice().into()
    }

    /// The key as a secret blob.
    #[napi]
    pub fn to_bytes(&self) -> Result<Uint8Array> {
        guard(|| Ok(self.inner.to_bytes())).map(Uint8Array::from)
    }

    /// Seeded evaluation keys, generated off the main thread.
    #[napi(ts_return_type = "Promise<Uint8Array>")]
    pub fn evaluation_keys(&self, control: &Control) -> AsyncTask<EvaluationKeys> {
        AsyncTask::new(EvaluationKeys::new(self, control))
    }

    /// Seeded evaluation keys.
    #[napi]
    pub fn evaluation_keys_sync(&self, control: &Control) -> Result<Uint8Array> {
        EvaluationKeys::new(self, control).generate().map(Uint8Array::from)
    }

    /// Encrypts torus plaintexts, but for the tensors whose index is in `clear`.
    #[napi]
    pub fn encrypt(
        &self,
        model_id: Uint8Array,
        plaintexts: Vec<BigUint64Array>,
        clear: Option<Vec<u32>>,
    ) -> Result<Uint8Array> {
        guard(|| {
            let model_id = sixteen_bytes(&model_id, "model id")?;
            let tensors: Vec<&[u64]> = plaintexts.iter().map(|tensor| &**tensor).collect();
            let clear: Vec<usize> = clear.iter().flatten().map(|&index| index as usize).collect();
            self.inner.encrypt_except(&model_id, &tensors, &clear)
        })
        .map(Uint8Array::from)
    }

    /// Phases of encrypted outputs.
    #[napi]
    pub fn decrypt(
        &self,
        model_id: Uint8Array,
        outputs: Uint8Array,
    ) -> Result<Vec<BigUint64Array>> {
        let phases = guard(|| {
            let model_id = sixteen_bytes(&model_id, "model id")?;
            self.inner.decrypt(&model_id, &outputs)
        })?;
        Ok(phases.into_iter().map(BigUint64Array::from).collect())
    }
}

/// Expanded evaluation keys.
#[napi]
pub struct ServerKey {
    pub(crate) inner: Arc<engine::ServerKey>,
}

impl ServerKey {
    pub(crate) fn new(key: engine::ServerKey) -> Self {
        Self { inner: Arc::new(key) }
    }
}

#[napi]
impl ServerKey {
    /// Name of the secret key that these keys belong to.
    #[napi(getter)]
    pub fn key_id(&self) -> Uint8Array {
        self.inner.key_id().as_slice().into()
    }

    /// SHA-256 of the parameters block.
    #[napi(getter)]
    pub fn parameters_digest(&self) -> Uint8Array {
        self.inner.parameters().digest().as_slice().into()
    }
}

/// A checked program.
#[napi]
pub struct Program {
    pub(crate) inner: Arc<engine::Program>,
}

impl Program {
    pub(crate) fn new(program: engine::Program) -> Self {
        Self { inner: Arc::new(program) }
    }
}

#[napi]
impl Program {
    /// Name of the model.
    #[napi(getter)]
    pub fn model_id(&self) -> Uint8Array {
        self.inner.model_id().as_slice().into()
    }

    /// SHA-256 of the parameters block.
    #[napi(getter)]
    pub fn parameters_digest(&self) -> Uint8Array {
        self.inner.parameters().digest().as_slice().into()
    }

    /// Lookups of one run.
    #[napi(getter)]
    pub fn lookups(&self) -> f64 {
        self.inner.lookups() as f64
    }

    /// Whether a run needs evaluation keys.
    #[napi(getter)]
    pub fn needs_keys(&self) -> bool {
        self.inner.needs_keys()
    }
}
