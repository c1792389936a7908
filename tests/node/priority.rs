//! Which of the program's threads go first.

use std::fs;

use crate::process::NodeProcess;
use crate::server::DataFolder;

/// The names of a process's threads, and how nice each is, as `proc_pid_stat(5)` says.
#[expect(clippy::disallowed_methods, reason = "the system's files on a process are looked at")]
fn threads(process: u32) -> Vec<(String, i32)> {
    let folders = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let stats = folders.map(|folder| fs::read_to_string(folder.unwrap().path().join("stat")).unwrap());
    let thread = |stat: String| {
        let (name, fields) = stat.split_once('(').unwrap().1.rsplit_once(") ").unwrap();
        (name.to_owned(), fields.split(' ').nth(16).unwrap().parse().unwrap())
    };
    stats.map(thread).collect()
}

#[actix_web::test]
async fn workers_give_way_to_the_threads_that_commit() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |process| {
        process.env("CONCLAVE__SERVER__WORKERS", "2");
    });
    node.api.sign_in("ada").await;

    let threads = threads(node.id());
    let nice = |beginning: &str| {
        let named = threads.iter().filter(|(name, _)| name.starts_with(beginning));
        named.map(|(_, nice)| *nice).collect::<Vec<_>>()
    };

    let own = nice("conclave")[0];
    // There is one more, which shows what is counted.
    assert_eq!(nice("actix-rt").into_iter().filter(|nice| *nice == own + 5).count(), 2, "{threads:?}");
    // The writer's; those that read may be begun by a worker, and are like it then.
    assert!(nice("store-writer").contains(&own), "{threads:?}");
}
