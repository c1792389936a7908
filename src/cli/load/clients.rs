//! The clients of a process: signed in, set up, in their rooms, and ready to send.

use core::error::Error;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::book::{Book, Seat};
use super::node::root_cause;
use super::plan::Plan;
use super::said::{Said, Share};
use crate::client::{ApiError, Client, ClientError, Conversation, Events, Http, SignIn, SignInError, Store};
use crate::ids::RoomId;
use crate::wire::{CreateInvitation, ErrorCode, RoomPolicy, SecretText};

/// A client in its room.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Which of all the clients of the run.
    pub(super) number: usize,
    pub(super) seat: Seat,
    pub(super) client: Client,
    pub(super) place: Conversation,
}

/// Why the clients are not ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// One of them failed.
    #[error("client {number}: {}{}", said(.error), hint(.error))]
    Client { number: usize, error: Box<ClientError> },
    /// Its task ended.
    #[error("a client ended before it was ready")]
    Ended,
    /// They are there, but not all have a socket, or not all know each other.
    #[error(
        "after {} s not every client was connected and knew its room: are limits.sockets_per_address of the node, and the open \
         files of both sides (ulimit -n), enough?",
        READY_MAX.as_secs()
    )]
    NotReady,
}

/// Clients that are set up at the same time: while one waits for the node, others make their keys. More would only wait for the
/// processor, and their calls with them.
const SET_UP_AT_ONCE: usize = 8;

/// How often a client is begun. Of some ten thousand calls one may break where the machine is full; that is no reason to give
/// all others up before anything is measured.
const SET_UP_TRIES: usize = 3;

/// From when all are set up until each has a socket and knows the members of its room.
const READY_MAX: Duration = Duration::from_secs(60);

/// Between two looks at whether they are.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Signs all clients of a share in, and puts them into their rooms.
///
/// # Errors
/// [`ConnectError`]
pub(super) async fn connect(
    share: &Share,
    book: &Arc<Book>,
    say: &mpsc::Sender<Said>,
) -> Result<Vec<Member>, ConnectError> {
    let http = Http::new().map_err(|error| failed(0, error.into()))?;
    let mut tasks = JoinSet::new();
    let places = Arc::new(Semaphore::new(SET_UP_AT_ONCE));
    for room in share.plan.rooms_of(share.process) {
        for (member, number) in share.plan.members_of(room).enumerate() {
            let (http, book, places) = (http.clone(), Arc::clone(book), Arc::clone(&places));
            let (url, name) = (share.plan.url.clone(), format!("load-{:016x}-{number}", share.run));
            let seat = Seat { room, member };
            tasks.spawn(async move {
                // It is never closed.
                let _place = places.acquire().await;
                let made = set_up(http, &url, &name).await.map_err(|error| failed(number, error))?;
                Ok((number, seat, sit_down(made, &book, seat)))
            });
        }
    }
    let mut clients = Vec::new();
    while let Some(done) = tasks.join_next().await {
        clients.push(done.map_err(|_| ConnectError::Ended)??);
        // Whoever listens has ended otherwise, and then so does this process.
        let _ = say.send(Said::Connected(clients.len())).await;
    }
    clients.sort_by_key(|(number, ..)| *number);
    let members = enter(clients, book).await?;
    timeout(READY_MAX, all_ready(&share.plan, book, &members)).await.map_err(|_| ConnectError::NotReady)??;
    Ok(members)
}

/// A client, begun anew under another name if a call broke on the way: the node may know half of the first.
async fn set_up(http: Http, url: &str, name: &str) -> Result<(Client, Events), ClientError> {
    let mut tried = 1;
    loop {
        match set_up_once(http.clone(), url, &format!("{name}-{tried}")).await {
            Err(error) if tried < SET_UP_TRIES && may_pass(&error) => tried += 1,
            done => return done,
        }
    }
}

async fn set_up_once(http: Http, url: &str, name: &str) -> Result<(Client, Events), ClientError> {
    let signed_in = SignIn::new(http, url).development(name).await?;
    Client::set_up(Store::in_memory(), signed_in).await
}

/// From here on the book hears of everything that happens to a client.
fn sit_down((client, mut events): (Client, Events), book: &Arc<Book>, seat: Seat) -> Client {
    book.seat(seat, client.account_id());
    let book = Arc::clone(book);
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            book.hear(seat, &event);
        }
    });
    client
}

/// Has the first client of each room make it, and the others come in; several rooms at a time.
async fn enter(clients: Vec<(usize, Seat, Client)>, book: &Arc<Book>) -> Result<Vec<Member>, ConnectError> {
    let mut rooms = JoinSet::new();
    let places = Arc::new(Semaphore::new(SET_UP_AT_ONCE));
    for of_room in clients.chunk_by(|(_, one, _), (_, other, _)| one.room == other.room) {
        let (of_room, book, places) = (of_room.to_vec(), Arc::clone(book), Arc::clone(&places));
        rooms.spawn(async move {
            // It is never closed.
            let _place = places.acquire().await;
            found(of_room, &book).await
        });
    }
    let mut members = Vec::with_capacity(clients.len());
    while let Some(done) = rooms.join_next().await {
        members.extend(done.map_err(|_| ConnectError::Ended)??);
    }
    Ok(members)
}

/// Makes a room, and has everybody join it.
async fn found(of_room: Vec<(usize, Seat, Client)>, book: &Book) -> Result<Vec<Member>, ConnectError> {
    let Some((number, seat, owner)) = of_room.first() else { return Ok(Vec::new()) };
    let (room, code) = invite(owner, of_room.len()).await.map_err(|error| failed(*number, error))?;
    book.open_room(seat.room, room);
    for (number, _, guest) in of_room.iter().skip(1) {
        guest.join(code.expose()).await.map_err(|error| failed(*number, error))?;
    }
    let place = Conversation::Room(room);
    Ok(of_room.into_iter().map(|(number, seat, client)| Member { number, seat, client, place }).collect())
}

/// A room, and an invitation for everybody.
async fn invite(owner: &Client, members: usize) -> Result<(RoomId, SecretText), ClientError> {
    let room = owner.create_room(RoomPolicy::default()).await?;
    let uses = u32::try_from(members).unwrap_or(u32::MAX);
    let invitation = owner.invite(room, CreateInvitation { uses: Some(uses), ..CreateInvitation::default() }).await?;
    Ok((room, invitation.code))
}

/// Waits until everybody has a socket and knows everybody in their room.
async fn all_ready(plan: &Plan, book: &Book, members: &[Member]) -> Result<(), ConnectError> {
    while book.connected() < members.len() {
        sleep(LOOK_AGAIN).await;
    }
    for member in members {
        let size = plan.members_of(member.seat.room).len();
        loop {
            let rooms = member.client.rooms().await.map_err(|error| failed(member.number, error))?;
            if rooms.iter().any(|room| Conversation::Room(room.room_id) == member.place && room.members.len() == size) {
                break;
            }
            sleep(LOOK_AGAIN).await;
        }
    }
    Ok(())
}

fn failed(number: usize, error: ClientError) -> ConnectError {
    ConnectError::Client { number, error: Box::new(error) }
}

/// The error, and where the network failed only what it began with: that says more than the steps that led there.
fn said(error: &ClientError) -> String {
    match error {
        ClientError::Api(ApiError::Unreachable(cause))
        | ClientError::SignIn(SignInError::Api(ApiError::Unreachable(cause))) => {
            format!("the node is not reached: {}", root_cause(cause))
        }
        other => other.to_string(),
    }
}

/// Whether it may go well the next time.
fn may_pass(error: &ClientError) -> bool {
    matches!(error, ClientError::Api(error) | ClientError::SignIn(SignInError::Api(error)) if error.is_transient())
}

/// Whether there is nobody who would take a connection.
fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let cause = root_cause(error).downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

/// What helps against the likeliest failures.
fn hint(error: &ClientError) -> &'static str {
    let (ClientError::Api(api) | ClientError::SignIn(SignInError::Api(api))) = error else { return "" };
    match api {
        ApiError::Refused { code: ErrorCode::RateLimited, .. } => {
            ": raise the node's limits, as `conclave load --help` says"
        }
        ApiError::Refused { code: ErrorCode::UnknownProvider, .. } => {
            ": the node needs its development provider, which it has on a loopback address alone"
        }
        ApiError::Unreachable(error) if is_refused(error) => ": is the node running? `conclave serve` starts one",
        _ => "",
    }
}
