//! The `tickwire` command: one subcommand a task, and `up`, which runs the
//! whole pipeline in this process.

mod apart;
mod cli;
mod commands;
mod config;
mod data_folder;
mod logs;
mod malloc_arenas;
mod owner;
mod private_file;
mod run;

use std::process::ExitCode;

use cli::{Cli, Command, WebArgs};
use commands::serve::Role;

fn main() -> ExitCode {
    malloc_arenas::limit();
    inbound::raise_open_files();
    let cli = Cli::read();
    logs::start(cli.log_format);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tickwire: {}", in_words(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    if let Command::Answer = cli.command {
        return commands::answer::run();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(obey(cli));
    // A blocked file read must not hold the process back once the work is done.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

async fn obey(cli: Cli) -> anyhow::Result<()> {
    let file = cli.config.as_deref();
    let config = || config::load(file);
    match cli.command {
        Command::Up(args) => commands::up::run(config()?, args).await,
        // These read the settings themselves, again where something is wrong with them.
        Command::Producer => commands::serve::run(file, Role::Producer, None).await,
        Command::NewsWatcher => commands::serve::run(file, Role::NewsWatcher, None).await,
        Command::Engine => commands::serve::run(file, Role::Engine, None).await,
        Command::Sink => commands::serve::run(file, Role::Sink, None).await,
        Command::Alerts => commands::serve::run(file, Role::Alerts, None).await,
        Command::Web(WebArgs { command: None, listen }) => {
            commands::serve::run(file, Role::Web, listen).await
        }
        Command::Web(WebArgs { command: Some(command), .. }) => commands::web::run(&config()?, command),
        Command::Deploy(args) if args.watch => commands::deploy::watch(file, &args).await,
        Command::Deploy(args) => commands::deploy::run(&config()?, args).await,
        Command::Health(args) => commands::health::run(args).await,
        Command::Compute(args) => commands::compute::run(args).await,
        Command::Backtest(args) => commands::backtest::run(&config()?, args).await,
        Command::Aggregate(args) => commands::aggregate::run(&config()?, args).await,
        Command::Export(args) => commands::export::run(&config()?, args).await,
        Command::Answer => commands::answer::run(),
        Command::Query(args) => commands::query::run(&config()?, args).await,
        Command::Topics(args) => commands::topics::run(&config()?, args).await,
        Command::Tail(args) => commands::tail::run(&config()?, args).await,
        Command::Backup(args) => commands::backup::backup(&config()?, &args),
        Command::Restore(args) => commands::backup::restore(&config()?, &args),
        Command::Doctor(args) => commands::doctor::run(&config()?, args).await,
        Command::Backfill(args) => commands::backfill::run(&config()?, args).await,
        Command::Recompute(args) => commands::recompute::run(&config()?, args).await,
        Command::DeadLetters(args) => commands::dead_letters::run(&config()?, args).await,
        Command::Init(args) => commands::init::run(&config()?, &args).await,
        Command::Rules(args) => commands::rules::run(&config()?, args).await,
        Command::Watch(args) => commands::watch::run(&config()?, args).await,
    }
}

/// The error with its causes, each said once: many of our errors hold their
/// cause's words already. Control characters of bad input are shown, not obeyed.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !words.contains(&cause) {
            words.push_str(if words.is_empty() { "" } else { ": " });
            words.push_str(&cause);
        }
    }
    printable(&words)
}

/// Text that may hold something from outside, for a terminal: control characters are
/// written out.
fn printable(text: &str) -> String {
    text.chars().flat_map(shown).collect()
}

/// A character as it can be printed: control characters are written out.
fn shown(character: char) -> impl Iterator<Item = char> {
    let obeyed = character.is_control() && character != '\n';
    let written = if obeyed { character.escape_default().to_string() } else { character.to_string() };
    written.chars().collect::<Vec<_>>().into_iter()
}

/// Whether whoever read our output has had enough, as in `tickwire tail … | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
