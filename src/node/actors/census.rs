//! How things stand with the sockets of all workers: counted when somebody asks, so that it costs nothing between.

use core::time::Duration;

use actix::{Handler, Message, MessageResult};

use super::routes::Routes;
use super::shard::Shard;
use crate::wire::Log;

/// How things stand with sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Sockets that are open.
    pub sockets: usize,
    /// Bytes in their queues.
    pub queued_bytes: usize,
    /// Bytes in the longest of them.
    pub queued_bytes_max: usize,
    /// Logs that they follow.
    pub feeds: usize,
    /// Logs that they are behind in.
    pub feeds_behind: usize,
    /// Entries of a room's log that the one which is most behind has not read.
    pub feed_lag_max: u64,
}

impl Census {
    fn and(self, other: Self) -> Self {
        Self {
            sockets: self.sockets + other.sockets,
            queued_bytes: self.queued_bytes + other.queued_bytes,
            queued_bytes_max: self.queued_bytes_max.max(other.queued_bytes_max),
            feeds: self.feeds + other.feeds,
            feeds_behind: self.feeds_behind + other.feeds_behind,
            feed_lag_max: self.feed_lag_max.max(other.feed_lag_max),
        }
    }
}

impl Routes {
    /// Asks every worker. One that does not answer in time is left out.
    pub async fn census(&self) -> Census {
        let mut all = Census::default();
        for shard in self.shards() {
            if let Ok(Ok(of_worker)) = tokio::time::timeout(ANSWER_WITHIN, shard.send(Count)).await {
                all = all.and(of_worker);
            }
        }
        all
    }
}

/// Asks a worker how things stand with its sockets.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Census")]
struct Count;

impl Handler<Count> for Shard {
    type Result = MessageResult<Count>;

    fn handle(&mut self, _: Count, _: &mut Self::Context) -> Self::Result {
        let hall = self.hall();
        let present = hall.present();
        let census = present.values().map(|present| {
            let queued_bytes = present.connection.queued_bytes();
            let mut census = Census { sockets: 1, queued_bytes, queued_bytes_max: queued_bytes, ..Census::default() };
            for (log, cursor) in present.followed.borrow().cursors() {
                census.feeds += 1;
                if !cursor.is_live() {
                    census.feeds_behind += 1;
                    let published = if let Log::Room(room_id) = log { hall.published(room_id) } else { 0 };
                    census.feed_lag_max = census.feed_lag_max.max(published.saturating_sub(cursor.last()));
                }
            }
            census
        });
        MessageResult(census.fold(Census::default(), Census::and))
    }
}

/// How long one worker may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
