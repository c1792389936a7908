//! The program: reads the command and carries it out.

use std::alloc::System;
use std::process::ExitCode;

use clap::Parser;
use conclave::cli::Cli;
use zeroizing_alloc::ZeroAlloc;

/// Memory is wiped when it is freed, also that of libraries: a request's buffers hold the token that came with it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    Cli::parse().run()
}
