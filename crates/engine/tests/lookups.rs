//! Lookups mean what `src/lower/program.ts` says, at every extension factor.

mod support;

use sotto_engine::{Instruction, Lookup};
use support::{Draws, Parties, distance, expected, one_table, program, quiet_parameters};

/// The noise of these keys is below 2^-30; what is compared is at least 2^-8 apart.
const TOLERANCE: f64 = 1.0 / 4096.0;

fn check(parties: &Parties, lookup: Lookup, phases: &[u64]) {
    let parameters = *parties.client.parameters();
    let size = parameters.polynomial_size << lookup.extension_log;
    let steps = [Instruction::Lookup(lookup.clone())];
    let compiled = program(&parameters, &[phases.len()], &steps, &[1]);
    let results = parties.run(&compiled, &[phases]).remove(0);
    assert_eq!(results.len(), lookup.sources.len());
    for (item, &result) in results.iter().enumerate() {
        let phase = phases[lookup.sources[item] as usize];
        let wanted = expected(&lookup, item, size, phase);
        assert!(
            distance(result, wanted) < TOLERANCE,
            "extension 2^{}, item {item}, phase {phase:x}: got {result:x}, expected {wanted:x}",
            lookup.extension_log,
        );
    }
}

/// One bit of small key moves a phase by a quarter case at most, so that every single coefficient can
/// be told from its neighbours. The boxes do not divide the table, and some are empty.
#[test]
fn every_coefficient_reads_its_own_box() {
    for seed in [1, 2, 3] {
        let parties = Parties::new(quiet_parameters(1, 1, 256), [seed; 16]);
        for extension_log in 0..=5 {
            let size = 256u64 << extension_log;
            let starts = vec![0, 1, 2, 7, 7, 100, 101, size as u32 - 1, size as u32];
            let values = (0..starts.len() as u64).map(|index| (index + 1) << 56).collect();
            // The middle of every coefficient of both halves.
            let phases: Vec<u64> = (0..2 * size)
                .map(|coefficient| (2 * coefficient + 1) << (63 - (2 * size).ilog2()))
                .collect();
            check(&parties, one_table(extension_log, starts, values, phases.len()), &phases);
        }
    }
}

/// Many bits of key, messages in the middle of wide boxes: all steps of the rotation.
#[test]
fn every_box_is_read_through_a_whole_rotation() {
    for (glwe_dimension, size) in [(1, 512), (2, 256), (3, 256)] {
        let parties = Parties::new(quiet_parameters(150, glwe_dimension, size), [9; 16]);
        for extension_log in 0..=4 {
            let table = size << extension_log;
            // 11 boxes: at least 23 coefficients each, 13 standard deviations of the switch.
            let starts: Vec<u32> = (0..11).map(|index| (index * table / 11) as u32).collect();
            let mut phases = Vec::new();
            for half in 0..2 {
                for (index, &start) in starts.iter().enumerate() {
                    let end = starts.get(index + 1).map_or(table, |&end| end as usize);
                    let middle = half * 2 * table + start as usize + end;
                    phases.push((middle as u64) << (63 - (2 * table).ilog2()));
                }
            }
            let values = (0..11).map(|index| index << 58).collect();
            check(&parties, one_table(extension_log, starts, values, phases.len()), &phases);
        }
    }
}

#[test]
fn items_choose_their_source_table_and_offset() {
    let parties = Parties::new(quiet_parameters(1, 1, 256), [5; 16]);
    let mut draws = Draws(3);
    let (boxes, tables, items) = (5, 3, 200);
    // Runs of one source, as many tables on one value make them, longer than a batch too.
    let mut sources: Vec<u32> = (0..items).map(|_| draws.below(40) as u32).collect();
    sources[50..120].fill(7);
    let lookup = Lookup {
        operand: 0,
        extension_log: 1,
        boxes,
        tables,
        starts: (0..tables)
            .flat_map(|table| (0..5).map(move |b| b * (20 * table as u32 + 9)))
            .collect(),
        values: (0..boxes * tables).map(|_| draws.word() >> 1).collect(),
        offsets: vec![0, 1 << 62, 3 << 61],
        output_offsets: vec![1 << 57, 0, 5 << 56],
        sources,
        table_of: (0..items).map(|_| draws.below(tables) as u32).collect(),
        degrees: vec![0; items],
    };
    let phases: Vec<u64> = (0..40).map(|_| (draws.word() >> 54 << 54) | (1 << 53)).collect();
    check(&parties, lookup, &phases);
}

/// Thresholds of one value from one rotation: a table of one sign, read at several degrees.
#[test]
fn items_of_one_source_and_table_share_a_rotation() {
    let parties = Parties::new(quiet_parameters(1, 1, 256), [8; 16]);
    let mut draws = Draws(4);
    for extension_log in [0, 2] {
        let size = 256usize << extension_log;
        let (items, tables) = (150, 2);
        let mut lookup = one_table(extension_log, vec![0, 90], vec![1 << 60, 3 << 59], items);
        lookup.tables = tables;
        lookup.starts.extend([0, 20]);
        lookup.values.extend([5 << 58, 1 << 57]);
        lookup.offsets.push(1 << 61);
        lookup.output_offsets.push(3 << 60);
        lookup.sources = (0..items).map(|item| (item / 40) as u32).collect();
        lookup.table_of = (0..items).map(|item| u32::from(item / 40 == 1)).collect();
        lookup.degrees = (0..items).map(|_| draws.below(size) as u32).collect();
        let width = 63 - size.ilog2();
        let middle = 1 << (width - 1);
        let phases: Vec<u64> = (0..4).map(|_| (draws.word() >> width << width) | middle).collect();
        check(&parties, lookup, &phases);
    }
}

#[test]
fn a_lookup_reads_the_result_of_a_lookup() {
    let parameters = quiet_parameters(100, 1, 512);
    let parties = Parties::new(parameters, [6; 16]);
    let eighths = |shift: u64| (0..4).map(|b: u64| ((b + shift) % 4) << 61).collect::<Vec<u64>>();
    let starts = |size: u32| (0..4).map(|b| b * size / 4).collect::<Vec<u32>>();
    let mut first = one_table(0, starts(512), eighths(1), 4);
    let mut second = one_table(2, starts(2048), eighths(1), 4);
    first.output_offsets = vec![1 << 60];
    second.operand = 1;
    let steps = [Instruction::Lookup(first), Instruction::Lookup(second)];
    let compiled = program(&parameters, &[4], &steps, &[2, 0, 2]);
    let inputs: Vec<u64> = (0..4).map(|b: u64| (b << 61) | (1 << 60)).collect();
    let outputs = parties.run(&compiled, &[&inputs]);
    assert_eq!(outputs.len(), 3);
    for b in 0..4 {
        assert!(distance(outputs[0][b], ((b as u64 + 2) % 4) << 61) < TOLERANCE);
        assert!(distance(outputs[1][b], inputs[b]) < TOLERANCE);
        assert_eq!(outputs[0][b], outputs[2][b]);
    }
}
