//! The limit of open files: each enforcer is one, and the usual limit is 1,024.

/// Raises the process's limit of open files as far as it may; returns what it is then.
#[expect(unsafe_code, reason = "neither std nor tokio has these two system calls")]
pub fn raise() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls only read or write the struct that they are given, which outlives them.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return 0;
        }
        let raised = libc::rlimit {
            rlim_cur: limit.rlim_max,
            ..limit
        };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) == 0 {
            limit = raised;
        }
    }
    limit.rlim_cur
}

#[cfg(test)]
mod tests {
    /// The effect, read from where the kernel shows it.
    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let raised = super::raise();
        let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux has it");
        let line = limits.lines().find(|line| line.starts_with("Max open files"));
        let numbers: Vec<u64> = line
            .expect("every process has this limit")
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        assert_eq!(numbers, [raised, raised]);
    }
}
