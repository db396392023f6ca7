//! Blobs survive a round trip, and everything that is not exactly one is refused with the right code.

mod support;

use sotto_engine::{
    ClientKey, Control, HEADER_BYTES, Output, Parameters, SecurityGate, ServerKey, encode_program,
    execute, parse_program, reseal,
};
use support::blobs::{Blobs, KINDS};
use support::{levelled_parameters, quiet_parameters};

#[test]
fn valid_blobs_are_read_and_keys_survive_a_round_trip() {
    let blobs = Blobs::new();
    for kind in KINDS {
        assert_eq!(blobs.read(kind, blobs.blob(kind)), Ok(()), "{kind}");
    }
    let again = ClientKey::from_bytes(&blobs.secret_key, blobs.parameters).expect("key");
    assert_eq!(again.to_bytes(), blobs.secret_key);
    assert_eq!(again.key_id(), blobs.client.key_id());
    let phases = |key: &ClientKey| key.decrypt(blobs.compiled.model_id(), &blobs.outputs);
    assert_eq!(phases(&again), phases(&blobs.client));
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let blobs = Blobs::new();
    for kind in KINDS {
        let blob = blobs.blob(kind);
        let lengths = (0..300).chain((300..blob.len()).step_by(97)).filter(|&l| l < blob.len());
        for length in lengths {
            let error = blobs.read(kind, &blob[..length]).expect_err(kind);
            assert_eq!(error.code(), "BAD_BYTES", "{kind} cut to {length}");
        }
        let longer = [blob, &[0]].concat();
        assert_eq!(blobs.read(kind, &longer).expect_err(kind).code(), "BAD_BYTES");
    }
}

#[test]
fn a_blob_is_not_read_as_another_kind() {
    let blobs = Blobs::new();
    for kind in KINDS {
        for other in KINDS.into_iter().filter(|other| *other != kind) {
            let error = blobs.read(kind, blobs.blob(other)).expect_err(kind);
            assert_eq!(error.code(), "BAD_BYTES", "{other} read as {kind}");
        }
    }
}

/// Offsets of the identities in a header, and the error for one that is foreign.
#[test]
fn foreign_identities_are_refused_by_name() {
    let blobs = Blobs::new();
    let (parameters, key, model) = (8, 40, 56);
    let cases = [
        ("program", parameters, None),
        ("program", key, Some("WRONG_KEY")),
        ("secret key", parameters, Some("WRONG_PARAMETERS")),
        ("secret key", model, Some("WRONG_MODEL")),
        ("evaluation keys", parameters, Some("WRONG_PARAMETERS")),
        ("evaluation keys", model, Some("WRONG_MODEL")),
        ("inputs", parameters, Some("WRONG_PARAMETERS")),
        ("inputs", key, Some("WRONG_KEY")),
        ("inputs", model, Some("WRONG_MODEL")),
        ("outputs", parameters, Some("WRONG_PARAMETERS")),
        ("outputs", key, Some("WRONG_KEY")),
        ("outputs", model, Some("WRONG_MODEL")),
    ];
    for (kind, offset, code) in cases {
        let mut blob = blobs.blob(kind).to_vec();
        blob[offset] ^= 1;
        assert_eq!(blobs.read(kind, &blob).expect_err(kind).code(), "BAD_BYTES");
        reseal(&mut blob);
        // A program's own digests are recomputed too, which makes it whole again.
        let found = blobs.read(kind, &blob).err().map(|error| error.code());
        assert_eq!(found, code, "{kind} at {offset}");
    }
}

#[test]
fn evaluation_keys_of_another_client_do_not_fit_the_inputs() {
    let blobs = Blobs::new();
    let control = Control::new(1);
    let stranger = ClientKey::generate(blobs.parameters, None);
    let keys = stranger.evaluation_keys(&control).expect("keys");
    let server = ServerKey::from_bytes(&keys, blobs.parameters, &control).expect("server key");
    let error = execute(&blobs.compiled, Some(&server), &blobs.inputs, &control);
    assert_eq!(error.expect_err("foreign").code(), "WRONG_KEY");
    let error = execute(&blobs.compiled, None, &blobs.inputs, &control);
    assert_eq!(error.expect_err("missing").code(), "BAD_ARGUMENT");
    let error = stranger.decrypt(blobs.compiled.model_id(), &blobs.outputs);
    assert_eq!(error.expect_err("foreign").code(), "WRONG_KEY");
}

#[test]
fn inputs_of_the_wrong_shape_are_refused() {
    let blobs = Blobs::new();
    let model = blobs.compiled.model_id();
    for plaintexts in [vec![1u64; 1], vec![1; 3]] {
        let inputs = blobs.client.encrypt(model, &[&plaintexts]).expect("inputs");
        assert_eq!(blobs.read("inputs", &inputs).expect_err("shape").code(), "BAD_BYTES");
    }
    let inputs = blobs.client.encrypt(model, &[&[1], &[1]]).expect("inputs");
    assert_eq!(blobs.read("inputs", &inputs).expect_err("shape").code(), "BAD_BYTES");
    assert_eq!(blobs.client.encrypt(model, &[]).expect_err("empty").code(), "BAD_ARGUMENT");
}

#[test]
fn lengths_that_overflow_are_refused() {
    let blobs = Blobs::new();
    for kind in KINDS {
        let length = blobs.blob(kind).len() - HEADER_BYTES - 32;
        // Each field of the head of the payload becomes as large as it can.
        for offset in (0..length.min(200)).step_by(4) {
            let mut blob = blobs.blob(kind).to_vec();
            blob[HEADER_BYTES + offset..][..4].copy_from_slice(&[0xff; 4]);
            reseal(&mut blob);
            let _ = blobs.read(kind, &blob);
        }
    }
    let mut outputs = blobs.outputs.clone();
    outputs[HEADER_BYTES + 4..HEADER_BYTES + 12].copy_from_slice(&[0xff; 8]);
    reseal(&mut outputs);
    assert_eq!(blobs.read("outputs", &outputs).expect_err("huge").code(), "BAD_BYTES");
}

#[test]
fn parameters_out_of_range_or_below_128_bits_are_refused() {
    let curve = |dimension: usize| {
        let exponent = 5.351862745098032 - 0.05139355742296919 * dimension as f64;
        (2f64.powi(-124) + exponent.exp2()).sqrt()
    };
    let sound = Parameters {
        lwe_dimension: 822,
        glwe_dimension: 2,
        polynomial_size: 1024,
        lwe_noise_std: curve(822),
        glwe_noise_std: curve(2048),
        ..quiet_parameters(1, 1, 256)
    };
    let code = |change: fn(&mut Parameters)| {
        let mut parameters = sound;
        change(&mut parameters);
        let parsed = Parameters::parse(&parameters.to_block(), SecurityGate::Enforced);
        parsed.err().map(|error| error.code())
    };
    assert_eq!(code(|_| {}), None);
    assert_eq!(code(|p| p.lwe_noise_std *= 0.999), Some("WRONG_PARAMETERS"));
    assert_eq!(code(|p| p.glwe_noise_std *= 0.999), Some("WRONG_PARAMETERS"));
    assert_eq!(code(|p| p.lwe_dimension = 450), Some("WRONG_PARAMETERS"));
    assert_eq!(code(|p| p.lwe_noise_std = f64::NAN), Some("BAD_ARGUMENT"));
    assert_eq!(code(|p| p.glwe_noise_std = -1.0), Some("BAD_ARGUMENT"));
    assert_eq!(code(|p| p.polynomial_size = 1000), Some("BAD_ARGUMENT"));
    assert_eq!(code(|p| p.polynomial_size = 1 << 20), Some("BAD_ARGUMENT"));
    assert_eq!(code(|p| p.glwe_dimension = 0), Some("BAD_ARGUMENT"));
    assert_eq!(code(|p| p.bootstrap.level = 5), Some("BAD_ARGUMENT"));
    assert_eq!(code(|p| p.keyswitch.base_log = 0), Some("BAD_ARGUMENT"));
    assert_eq!(code(|p| p.lwe_dimension = 0), Some("BAD_ARGUMENT"));
    assert!(Parameters::parse(&sound.to_block()[1..], SecurityGate::Enforced).is_err());

    let insecure = encode_program(&quiet_parameters(3, 1, 256), &[1], &[], &[Output::exact(0)]);
    let error = parse_program(&insecure, SecurityGate::Enforced).expect_err("insecure");
    assert_eq!(error.code(), "WRONG_PARAMETERS");
}

#[test]
fn keys_without_lookups_are_small_and_work() {
    let parameters = levelled_parameters(2, 256);
    let control = Control::new(1);
    let client = ClientKey::generate(parameters, None);
    let keys = client.evaluation_keys(&control).expect("keys");
    assert_eq!(keys.len(), HEADER_BYTES + 48 + 32);
    let server = ServerKey::from_bytes(&keys, parameters, &control).expect("server key");
    let program = support::program(&parameters, &[2], &[], &[0]);
    let inputs = client.encrypt(program.model_id(), &[&[1 << 40, 2 << 40]]).expect("inputs");
    let outputs = execute(&program, Some(&server), &inputs, &control).expect("outputs");
    let phases = client.decrypt(program.model_id(), &outputs).expect("phases");
    assert!(support::distance(phases[0][1], 2 << 40) < 2f64.powi(-45));
}

#[test]
fn a_secret_key_is_not_printed() {
    let blobs = Blobs::new();
    let printed = format!("{:?}", blobs.client);
    assert!(printed.starts_with("ClientKey { key_id: ") && printed.ends_with(".. }"));
    assert!(!printed.contains("big") && !printed.contains("small"));
}
