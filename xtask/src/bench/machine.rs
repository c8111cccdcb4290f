//! The machine in one line: numbers without it mean nothing.

use std::fs;

/// Processor, cores, load, compiler's target.
pub(super) fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    line(&cpu, &load, cores)
}

fn line(cpuinfo: &str, loadavg: &str, cores: usize) -> String {
    let value = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
    let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(value);
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let load = loadavg.split_whitespace().next().unwrap_or("unknown");
    format!("{model}, {cores} cores, load {load}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_the_processor_and_the_load() {
        let text = line("processor : 0\nmodel name\t: AMD EPYC 9R45\n", "0.42 0.30 0.1 1/200 3\n", 2);
        assert_eq!(text, "AMD EPYC 9R45, 2 cores, load 0.42");
    }

    #[test]
    fn a_machine_without_these_files_gives_a_line_too() {
        assert_eq!(line("", "", 4), format!("{}, 4 cores, load unknown", std::env::consts::ARCH));
    }
}
