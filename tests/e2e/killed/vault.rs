//! Writers of a vault.

use conclave::client::Store;
use conclave::client::vault::ItemState;

use super::victim::Device;
use super::{Flow, begin, set_up, wherever_it_saves};
use crate::direct::passphrase;
use crate::user::User;
use crate::vault::memory;

impl Device {
    pub(super) async fn keeps(&mut self) {
        let (memories, round) = (self.client.vault().memories(), self.orders.round);
        let [kept, gone] = ["kept", "gone"].map(|name| format!("{name} {round}"));
        let kept = memories.id_of(&kept).await.unwrap();
        for (version, text) in [(0, "first"), (1, "second")] {
            if memories.state(kept).await.unwrap().version() == version {
                memories.put(kept, version, &memory(text)).await.unwrap();
            }
        }
        let gone = memories.id_of(&gone).await.unwrap();
        if memories.state(gone).await.unwrap() == ItemState::Absent {
            memories.put(gone, 0, &memory("for a moment")).await.unwrap();
        }
        if (memories.state(gone).await.unwrap() == ItemState::Present { version: 1 }) {
            memories.delete(gone, 1).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_vault_whose_writer_is_killed_wherever_it_saves_has_each_write_once() {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Vault, &node.url, &folder, &friend).await;
    let mut rounds = 0;
    let kinds = ["vault-writer/", "vault-head/"];
    let all = wherever_it_saves(orders, &kinds, async |orders| {
        rounds = orders.round;
        orders.run_to_the_end().await
    });
    all.await;

    let grace = User::open(Store::open(&folder.path().join("victim"), passphrase()).await.unwrap()).await;
    let memories = grace.client.vault().memories();
    for round in 1..=rounds {
        let kept = memories.id_of(&format!("kept {round}")).await.unwrap();
        let kept = memories.get(kept).await.unwrap().unwrap();
        assert_eq!((kept.version, kept.content.query.as_str()), (2, "second"), "{round}");
        let gone = memories.id_of(&format!("gone {round}")).await.unwrap();
        assert_eq!(memories.state(gone).await.unwrap(), ItemState::Deleted { version: 2 }, "{round}");
    }
    grace.close().await;
}
