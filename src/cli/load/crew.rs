//! The processes of a run: this one, or children that are told over their standard input and say over their standard output what
//! happens.

use std::process::Stdio;
use std::{env, io};

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};

use super::plan::Plan;
use super::said::{Order, Said, Share};
use super::worker;

/// The hidden command that a child is started with.
pub(in super::super) const CHILD: &str = "load-process";

/// What was said and not heard yet: a second of every process, many times over.
const SAID_MAX: usize = 1_024;

/// The processes of a run.
pub(super) struct Crew {
    said: mpsc::Receiver<(usize, Said)>,
    ears: Vec<Ear>,
    /// They end with this.
    children: Vec<Child>,
}

/// How a process is told something.
enum Ear {
    Here(watch::Sender<Order>),
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
        let mut crew = Self { said, ears: Vec::new(), children: Vec::new() };
        if plan.processes == 1 {
            crew.ears.push(here(share(0), say));
            return Ok(crew);
        }
        for process in 0..plan.processes {
            let (child, input) = child(&share(process), say.clone()).await?;
            crew.ears.push(Ear::Child(input));
            crew.children.push(child);
        }
        Ok(crew)
    }

    /// What one of them says next; none when all have ended.
    pub(super) async fn next(&mut self) -> Option<(usize, Said)> {
        self.said.recv().await
    }

    /// Tells all of them what to do now.
    pub(super) async fn order(&mut self, order: Order) {
        for ear in &mut self.ears {
            match ear {
                Ear::Here(orders) => drop(orders.send_replace(order)),
                // One that has ended has said so, or says why.
                Ear::Child(input) => drop(say_line(input, &order).await),
            }
        }
    }
}

/// A share that is done in this process.
fn here(share: Share, say: mpsc::Sender<(usize, Said)>) -> Ear {
    let (orders, ordered) = watch::channel(Order::Wait);
    tokio::spawn(async move {
        let (own, mut saying) = mpsc::channel(SAID_MAX);
        let forward = async {
            while let Some(said) = saying.recv().await {
                if say.send((share.process, said)).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(worker::work(&share, own, ordered), forward);
    });
    Ear::Here(orders)
}

/// A share that is done in a process of its own.
async fn child(share: &Share, say: mpsc::Sender<(usize, Said)>) -> io::Result<(Child, ChildStdin)> {
    let mut child = Command::new(env::current_exe()?)
        .arg(CHILD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C is for this process, which orders the others to stop.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    say_line(&mut input, share).await?;
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
    let (orders, ordered) = watch::channel(Order::Wait);
    let print = async {
        let mut output = tokio::io::stdout();
        while let Some(said) = saying.recv().await {
            say_line(&mut output, &said).await?;
        }
        Ok(())
    };
    let work = async {
        let ((), printed) = tokio::join!(worker::work(&share, say, ordered), print);
        printed
    };
    tokio::select! {
        done = work => done,
        () = listen(input, orders) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Passes orders on, and returns when the parent is gone.
async fn listen(mut input: Lines<impl AsyncRead + Unpin + AsyncBufReadExt>, orders: watch::Sender<Order>) {
    while let Ok(Some(line)) = input.next_line().await {
        if let Ok(order) = serde_json::from_str(&line) {
            orders.send_replace(order);
        }
    }
}

async fn say_line(output: &mut (impl AsyncWriteExt + Unpin), said: &impl Serialize) -> io::Result<()> {
    output.write_all(format!("{}\n", serde_json::to_string(said)?).as_bytes()).await?;
    output.flush().await
}
