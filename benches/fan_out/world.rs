//! A data folder of a node, with people who are signed in and rooms that they are in.

use std::fs;
use std::path::{Path, PathBuf};

use actix_web::rt::System;
use conclave::ids::{LogEpoch, RoomId};
use conclave::node::clock::Clock;
use conclave::node::store::{NewRoom, Store};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::author::{Author, POLICY};
use crate::people::{Api, Person};
use crate::process::Process;
use crate::servers::node;

/// People, rooms, and the folder that a node keeps them in. The folder goes when this is dropped.
pub(crate) struct World {
    folder: PathBuf,
    pub(crate) people: Vec<Person>,
    /// The room that everybody is in.
    pub(crate) hall: RoomId,
    /// Rooms of a thousand, one after the other.
    pub(crate) parlours: Vec<RoomId>,
    /// Rooms of one.
    pub(crate) cells: Vec<RoomId>,
}

/// How many there are.
#[derive(Clone, Copy)]
pub(crate) struct Census {
    pub(crate) people: usize,
    /// Of them, in the hall.
    pub(crate) in_hall: usize,
    pub(crate) cells: usize,
}

impl World {
    /// Has a node sign in the people and let them into the rooms. The rooms themselves are put into the store: nobody can
    /// ask for one of this policy yet, for want of a client that speaks MLS. To the node all payloads are alike.
    pub(crate) fn make(target: &Path, census: Census) -> Self {
        let folder = target.join("world");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let runtime = System::new();
        let process = node::start(&folder);
        let people = runtime.block_on(Api::at(process.address).sign_in(census.people));
        drop(process);

        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let parlours = people.chunks_exact(PARLOUR_MEMBERS).map(|members| (RoomId::generate(&mut rng), members));
        let parlours: Vec<_> = parlours.collect();
        let cells: Vec<_> =
            people.iter().take(census.cells).map(|person| (RoomId::generate(&mut rng), person)).collect();
        let hall = RoomId::generate(&mut rng);
        runtime.block_on(async {
            let store = Store::open(&folder).await.unwrap();
            let rooms = [(hall, &people[0])].into_iter();
            let rooms = rooms.chain(parlours.iter().map(|(room_id, members)| (*room_id, &members[0])));
            for (room_id, owner) in rooms.chain(cells.iter().copied()) {
                let (owner, epoch, created_at) =
                    (owner.account_id(), LogEpoch::generate(&mut rng), Clock::system().now());
                store
                    .create_room(&NewRoom { room_id, policy: POLICY, owner, membership: None, epoch, created_at })
                    .await
                    .unwrap();
            }
            store.close().await;
        });

        let process = node::start(&folder);
        runtime.block_on(async {
            let api = Api::at(process.address);
            api.invite(hall, &people[..census.in_hall]).await;
            for (room_id, members) in &parlours {
                api.invite(*room_id, members).await;
            }
        });
        let parlours = parlours.into_iter().map(|(room_id, _)| room_id).collect();
        let cells = cells.into_iter().map(|(room_id, _)| room_id).collect();
        Self { folder, people, hall, parlours, cells }
    }

    /// Starts a node in this world.
    pub(crate) fn start_node(&self) -> Process {
        node::start(&self.folder)
    }

    /// The people in the parlours, room by room.
    pub(crate) fn parlours(&self) -> impl Iterator<Item = (RoomId, &[Person])> {
        self.parlours.iter().copied().zip(self.people.chunks_exact(PARLOUR_MEMBERS))
    }

    /// Somebody as a writer in a room.
    pub(crate) fn author(&self, person: usize, room_id: RoomId) -> Author {
        let person = &self.people[person];
        Author::new(person.device, person.keys(), room_id)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const PARLOUR_MEMBERS: usize = 1_000;
