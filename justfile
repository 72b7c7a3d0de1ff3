# Commands for everyday work; `just` alone lists them.

_default:
    @just --list

# What CI checks of the code without running it: format and lints.
check:
    cargo fmt --all -- --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# All tests; those of servers and browser need what `.ci/run` installs.
test *ARGS:
    cargo test --workspace --locked {{ARGS}}

# The tests of one crate: `just fast engine`, `just fast web -- sign_in`.
fast CRATE *ARGS:
    cargo test --locked -p {{CRATE}} {{ARGS}}

# The whole pipeline in one process, as `cargo run` starts it.
run *ARGS:
    cargo run --locked -- {{ARGS}}

# Everything that must hold before a change lands.
ci:
    .ci/run
