//! A room on `actix-web-actors`, in the shape of its own chat example: the room is an actor that sends each message to the
//! actor of each session, which writes it by its context.
//!
//! It is kinder than the example where that costs nothing: what is sent is shared, not copied, and sessions ping as seldom
//! as the node's.

use std::collections::BTreeMap;
use std::env;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult, Recipient,
    StreamHandler, WrapFuture,
};
use actix_web::web::{self, Bytes, Data, Payload};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer};
use actix_web_actors::ws;

use crate::process::Process;
use crate::{author, handshake};

/// Starts it in a process of its own.
pub(crate) fn start() -> Process {
    Process::start(Command::new(env::current_exe().unwrap()).arg("--serve-actix"))
}

/// Opens connections to it.
pub(crate) fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| handshake::upgrade(address, "/ws", &[])).collect()
}

/// The process itself.
pub(crate) fn serve() {
    actix_web::rt::System::new().block_on(async {
        let room = Data::new(Room::default().start());
        let server = HttpServer::new(move || App::new().app_data(room.clone()).route("/ws", web::get().to(socket)))
            .max_connections(20_000)
            .workers(2)
            .bind("127.0.0.1:0")
            .unwrap();
        println!("The room on actix-web-actors listens on http://{}", server.addrs()[0]);
        server.run().await.unwrap();
    });
}

async fn socket(request: HttpRequest, stream: Payload, room: Data<Addr<Room>>) -> Result<HttpResponse, Error> {
    let session = Session { id: 0, room: room.get_ref().clone(), heard: Instant::now(), answer: author::answer() };
    ws::start(session, &request, stream)
}

/// The room.
#[derive(Default)]
struct Room {
    sessions: BTreeMap<u64, Recipient<Say>>,
    last: u64,
}

impl Actor for Room {
    type Context = Context<Self>;
}

/// A session has come. It gets its number.
#[derive(Message)]
#[rtype(u64)]
struct Connect(Recipient<Say>);

/// It has gone.
#[derive(Message)]
#[rtype(result = "()")]
struct Disconnect(u64);

/// A session says something to all others.
#[derive(Message)]
#[rtype(result = "()")]
struct Tell {
    from: u64,
    bytes: Bytes,
}

/// What a session hears.
#[derive(Message)]
#[rtype(result = "()")]
struct Say(Bytes);

impl Handler<Connect> for Room {
    type Result = MessageResult<Connect>;

    fn handle(&mut self, Connect(session): Connect, _: &mut Self::Context) -> Self::Result {
        self.last += 1;
        self.sessions.insert(self.last, session);
        MessageResult(self.last)
    }
}

impl Handler<Disconnect> for Room {
    type Result = ();

    fn handle(&mut self, Disconnect(id): Disconnect, _: &mut Self::Context) {
        self.sessions.remove(&id);
    }
}

impl Handler<Tell> for Room {
    type Result = ();

    fn handle(&mut self, Tell { from, bytes }: Tell, _: &mut Self::Context) {
        for (_, session) in self.sessions.iter().filter(|(id, _)| **id != from) {
            session.do_send(Say(bytes.clone()));
        }
    }
}

/// One socket.
struct Session {
    id: u64,
    room: Addr<Room>,
    heard: Instant,
    answer: Vec<u8>,
}

impl Actor for Session {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(PING_EVERY, |session, context| {
            if session.heard.elapsed() > 2 * PING_EVERY {
                context.stop();
            } else {
                context.ping(b"");
            }
        });
        let arrival = self.room.send(Connect(context.address().recipient()));
        context.wait(arrival.into_actor(self).map(|id, session, _| session.id = id.unwrap()));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.room.do_send(Disconnect(self.id));
    }
}

impl Handler<Say> for Session {
    type Result = ();

    fn handle(&mut self, Say(bytes): Say, context: &mut Self::Context) {
        context.binary(bytes);
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Session {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, context: &mut Self::Context) {
        self.heard = Instant::now();
        match message {
            Ok(ws::Message::Binary(bytes)) => {
                self.room.do_send(Tell { from: self.id, bytes });
                context.binary(self.answer.clone());
            }
            Ok(ws::Message::Ping(payload)) => context.pong(&payload),
            Ok(ws::Message::Pong(_)) => {}
            _ => context.stop(),
        }
    }
}

/// How often a session pings.
const PING_EVERY: Duration = Duration::from_secs(30);
