//! A server whose every answer a test writes: the attacker as a provider, or the shape of one that cannot be had here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, rt};
use serde_json::Value;

/// One call that came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) authorization: String,
    pub(crate) accept: String,
    pub(crate) body: String,
}

/// What the server answers at one path.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Json(Value),
    Status(u16, Value),
    Redirect(String),
    Bytes(usize),
}

#[derive(Default)]
struct Script {
    replies: BTreeMap<String, Reply>,
    calls: Vec<Call>,
}

pub(crate) struct Played {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
    server: ServerHandle,
}

impl Played {
    pub(crate) fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Data::from(script.clone());
        let server = HttpServer::new(move || App::new().app_data(shared.clone()).default_service(web::to(answer)))
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        rt::spawn(server);
        Self { url, script, server: handle }
    }

    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        self.script.lock().unwrap().replies.insert(path.to_owned(), reply);
    }

    /// What came at a path.
    pub(crate) fn calls(&self, path: &str) -> Vec<Call> {
        let script = self.script.lock().unwrap();
        script.calls.iter().filter(|call| call.path == path).cloned().collect()
    }

    pub(crate) async fn stop(self) {
        self.server.stop(false).await;
    }
}

async fn answer(request: HttpRequest, body: Bytes, script: Data<Mutex<Script>>) -> HttpResponse {
    let header = |name| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let call = Call {
        path: request.path().to_owned(),
        authorization: header("authorization"),
        accept: header("accept"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let mut script = script.lock().unwrap();
    let reply = script.replies.get(&call.path).cloned();
    script.calls.push(call);
    match reply {
        Some(Reply::Json(value)) => HttpResponse::Ok().json(value),
        Some(Reply::Status(status, value)) => HttpResponse::build(status.try_into().unwrap()).json(value),
        Some(Reply::Redirect(location)) => HttpResponse::Found().insert_header(("location", location)).finish(),
        Some(Reply::Bytes(count)) => HttpResponse::Ok().content_type("application/json").body(" ".repeat(count)),
        None => HttpResponse::NotFound().finish(),
    }
}
