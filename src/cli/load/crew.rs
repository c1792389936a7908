//! The processes of a run: this one, or children that are told over their standard input and say over their standard output what
//! happens.

use std::process::Stdio;
use std::{env, io};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, oneshot};

use super::plan::Plan;
use super::said::{Said, Share};
use super::worker;

/// The hidden command that a child is started with.
pub(in super::super) const CHILD: &str = "load-process";

/// What the parent says when a child is to begin.
const GO: &str = "go";

/// What was said and not heard yet: a second of every process, many times over.
const SAID_MAX: usize = 1_024;

/// The processes of a run.
pub(super) struct Crew {
    said: mpsc::Receiver<(usize, Said)>,
    starts: Vec<Start>,
    /// They end with this.
    children: Vec<Child>,
}

/// How a process is told to begin.
enum Start {
    Here(oneshot::Sender<()>),
    Child(ChildStdin),
}

impl Crew {
    /// Starts all processes of a plan; they connect their clients, and wait.
    ///
    /// # Errors
    /// If the system starts none.
    pub(super) async fn start(plan: &Plan, run: u64) -> io::Result<Self> {
        let (say, said) = mpsc::channel(SAID_MAX);
        let share = |process| Share { run, plan: plan.clone(), process };
        let mut crew = Self { said, starts: Vec::new(), children: Vec::new() };
        if plan.processes == 1 {
            crew.starts.push(here(share(0), say));
            return Ok(crew);
        }
        for process in 0..plan.processes {
            let (child, input) = child(&share(process), say.clone()).await?;
            crew.starts.push(Start::Child(input));
            crew.children.push(child);
        }
        Ok(crew)
    }

    /// What one of them says next; none when all have ended.
    pub(super) async fn next(&mut self) -> Option<(usize, Said)> {
        self.said.recv().await
    }

    /// Tells all of them to begin.
    ///
    /// # Errors
    /// If one has ended.
    pub(super) async fn go(&mut self) -> io::Result<()> {
        for start in core::mem::take(&mut self.starts) {
            match start {
                Start::Here(start) => start.send(()).map_err(|()| io::Error::from(io::ErrorKind::BrokenPipe))?,
                Start::Child(mut input) => {
                    write_line(&mut input, GO).await?;
                    self.starts.push(Start::Child(input));
                }
            }
        }
        Ok(())
    }
}

/// A share that is done in this process.
fn here(share: Share, say: mpsc::Sender<(usize, Said)>) -> Start {
    let (start, started) = oneshot::channel();
    tokio::spawn(async move {
        let (own, mut saying) = mpsc::channel(SAID_MAX);
        let forward = async {
            while let Some(said) = saying.recv().await {
                if say.send((share.process, said)).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(worker::work(&share, own, async { started.await.is_ok() }), forward);
    });
    Start::Here(start)
}

/// A share that is done in a process of its own.
async fn child(share: &Share, say: mpsc::Sender<(usize, Said)>) -> io::Result<(Child, ChildStdin)> {
    let mut child = Command::new(env::current_exe()?)
        .arg(CHILD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    write_line(&mut input, &serde_json::to_string(share)?).await?;
    let process = share.process;
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        let mut is_over = false;
        while let Ok(Some(line)) = lines.next_line().await {
            let said = serde_json::from_str(&line).unwrap_or_else(|error| Said::Failed(error.to_string()));
            is_over |= matches!(said, Said::Over);
            if say.send((process, said)).await.is_err() {
                return;
            }
        }
        if !is_over {
            let _ = say.send((process, Said::Failed("it ended before the run did".to_owned()))).await;
        }
    });
    Ok((child, input))
}

/// Does the share that standard input names: what a child does. It ends early when its parent does.
///
/// # Errors
/// If the parent does not say what is to be done.
pub(super) async fn be_child() -> io::Result<()> {
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let share = input.next_line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let share: Share = serde_json::from_str(&share)?;
    let (say, mut saying) = mpsc::channel(SAID_MAX);
    let (start, started) = oneshot::channel();
    let print = async {
        let mut output = tokio::io::stdout();
        while let Some(said) = saying.recv().await {
            write_line(&mut output, &serde_json::to_string(&said)?).await?;
        }
        Ok(())
    };
    let work = async {
        let ((), printed) = tokio::join!(worker::work(&share, say, async { started.await.is_ok() }), print);
        printed
    };
    tokio::select! {
        done = work => done,
        () = listen(input, start) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Passes the word to begin on, and returns when the parent is gone.
async fn listen(mut input: Lines<impl AsyncRead + Unpin + AsyncBufReadExt>, start: oneshot::Sender<()>) {
    let mut start = Some(start);
    while let Ok(Some(line)) = input.next_line().await {
        if line == GO
            && let Some(start) = start.take()
        {
            let _ = start.send(());
        }
    }
}

async fn write_line(output: &mut (impl AsyncWriteExt + Unpin), line: &str) -> io::Result<()> {
    output.write_all(format!("{line}\n").as_bytes()).await?;
    output.flush().await
}
