//! What a process of a run does: connect its clients, send what is due, count what comes, and say so every second.

use core::time::Duration;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::book::Book;
use super::clients::{ConnectError, Member, connect};
use super::plan::Plan;
use super::said::{Order, Said, Share};
use super::tally::Footprint;
use super::usage::Process;

/// How long after everything has arrived it is still looked for what comes once more.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// How long clients may take to end.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Does a share, as it is ordered, and says what happens.
pub(super) async fn work(share: &Share, say: mpsc::Sender<Said>, orders: watch::Receiver<Order>) {
    let last = match attend(share, &say, orders).await {
        Ok(()) => Said::Over,
        Err(error) => Said::Failed(error.to_string()),
    };
    // Whoever is not there any more has no use for it.
    let _ = say.send(last).await;
}

async fn attend(
    share: &Share,
    say: &mpsc::Sender<Said>,
    mut orders: watch::Receiver<Order>,
) -> Result<(), ConnectError> {
    let usage = || Process::own().usage().unwrap_or_default();
    let before = usage();
    let book = Arc::new(Book::new(share.run, &share.plan));
    let members = connect(share, &book, say).await?;
    let _ = say.send(Said::Ready(Footprint { before, connected: usage() })).await;
    // Who gives orders may be gone; then nobody asks for the rest.
    if orders.wait_for(|order| *order != Order::Wait).await.is_err() {
        return Ok(());
    }
    let start = Instant::now();
    book.start(start);
    let mut senders = JoinSet::new();
    for member in members.clone() {
        senders.spawn(send(member, share.plan.clone(), Arc::clone(&book), start, orders.clone()));
    }
    count(&share.plan, &book, say, start, &orders).await;
    senders.abort_all();
    let mut closing = JoinSet::new();
    for member in members {
        closing.spawn(member.client.close());
    }
    // Nothing depends on how they end.
    let _ = timeout(CLOSE_MAX, closing.join_all()).await;
    Ok(())
}

/// Sends what is due of one client, one message after the other.
async fn send(member: Member, plan: Plan, book: Arc<Book>, start: Instant, mut orders: watch::Receiver<Order>) {
    for due in plan.schedule(member.number) {
        tokio::select! {
            biased;
            _ = orders.wait_for(|order| *order == Order::Stop) => return,
            () = sleep_until(start + due) => {}
        }
        let Some((name, text)) = book.send(member.seat, due) else { return };
        if member.client.send(member.place, text).await.is_err() {
            book.refuse(name);
        }
    }
}

/// Says every second what has happened, until everything has arrived or it is too late for that.
async fn count(plan: &Plan, book: &Book, say: &mpsc::Sender<Said>, start: Instant, orders: &watch::Receiver<Order>) {
    let (mut sending, mut complete_since) = (plan.sending(), None);
    for second in 0_u32.. {
        let end = Duration::from_secs(u64::from(second) + 1);
        sleep_until(start + end).await;
        if *orders.borrow() == Order::Stop {
            sending = sending.min(end);
        }
        let tick = book.turn(usize::try_from(second).unwrap_or(usize::MAX));
        let is_complete = end >= sending && tick.checks.missing() == 0;
        if say.send(Said::Second(Box::new(tick))).await.is_err() || end >= sending + plan.drain() {
            return;
        }
        complete_since = if is_complete { complete_since.or(Some(end)) } else { None };
        if complete_since.is_some_and(|since| end >= since + AFTERWARDS) {
            return;
        }
    }
}
