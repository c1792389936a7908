#![expect(clippy::unwrap_used, reason = "a test may panic")]

use core::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{Checks, Ledger, MessageName, Verdict};

const MEMBERS: usize = 4;

/// A delivery as a node makes it: a member, and a message.
type Delivery = (usize, MessageName);

/// A run in one or two rooms: who sends, and what a faultless node delivers of it, in each member's order.
#[derive(Clone, Debug)]
struct Run {
    senders: Vec<(usize, usize)>,
    deliveries: Vec<Delivery>,
}

/// Members who send in some order; their messages are delivered to the members in turns that `pace` draws, to each in the
/// order of the log.
fn run() -> impl Strategy<Value = Run> {
    let senders = prop::collection::vec((0..2_usize, 0..MEMBERS), 2..40);
    (senders, prop::collection::vec(any::<Index>(), 200)).prop_map(|(senders, pace)| {
        let mut queues = vec![Vec::new(); 2 * MEMBERS];
        let mut sent = [[0; MEMBERS]; 2];
        for &(room, sender) in &senders {
            let message = MessageName { room, sender, number: sent[room][sender] };
            sent[room][sender] += 1;
            for receiver in (0..MEMBERS).filter(|&receiver| receiver != sender) {
                queues[room * MEMBERS + receiver].push((receiver, message));
            }
        }
        let mut deliveries = Vec::new();
        for turn in pace.iter().cycle() {
            queues.retain(|queue| !queue.is_empty());
            if queues.is_empty() {
                break;
            }
            deliveries.push(turn.get_mut(&mut queues).remove(0));
        }
        Run { senders, deliveries }
    })
}

impl Run {
    fn checks(&self) -> Checks {
        let mut ledger = Ledger::new([MEMBERS, MEMBERS]);
        for &(room, sender) in &self.senders {
            ledger.sent(room, sender, Duration::ZERO).unwrap();
        }
        for &(receiver, message) in &self.deliveries {
            ledger.received(receiver, message, Duration::ZERO);
        }
        ledger.checks()
    }

    /// What a faultless node leads to.
    fn clean(&self) -> Checks {
        let sent = u64::try_from(self.senders.len()).unwrap();
        let due = sent * u64::try_from(MEMBERS - 1).unwrap();
        Checks { sent, due, delivered: due, ..Checks::default() }
    }
}

proptest! {
    #[test]
    fn a_faultless_run_is_clean(run in run()) {
        prop_assert_eq!(run.checks(), run.clean());
        prop_assert!(run.checks().are_clean());
    }

    #[test]
    fn each_loss_is_counted(mut run in run(), which in prop::collection::vec(any::<Index>(), 1..6)) {
        for index in &which {
            run.deliveries.remove(index.index(run.deliveries.len()));
        }
        let lost = u64::try_from(which.len()).unwrap();
        let clean = run.clean();
        prop_assert_eq!(run.checks(), Checks { delivered: clean.due - lost, ..clean });
        prop_assert_eq!(run.checks().missing(), lost);
        prop_assert!(!run.checks().are_clean());
    }

    #[test]
    fn each_repeat_is_counted(mut run in run(), which in prop::collection::vec((any::<Index>(), any::<Index>()), 1..6)) {
        for (from, to) in &which {
            // Anywhere, also before what it repeats: the second is the repeat then.
            let again = *from.get(&run.deliveries);
            let at = run.deliveries.iter().position(|delivery| *delivery == again).unwrap();
            let to = at + 1 + to.index(run.deliveries.len() - at);
            run.deliveries.insert(to, again);
        }
        let repeated = u64::try_from(which.len()).unwrap();
        prop_assert_eq!(run.checks(), Checks { repeated, ..run.clean() });
        prop_assert!(!run.checks().are_clean());
    }

    #[test]
    fn two_messages_of_a_sender_that_change_places_are_found(mut run in run(), which in any::<Index>()) {
        let (receiver, message) = *which.get(&run.deliveries);
        let same = |&&(to, other): &&Delivery| to == receiver && other.room == message.room && other.sender == message.sender;
        let of_sender: Vec<Delivery> = run.deliveries.iter().filter(same).copied().collect();
        prop_assume!(of_sender.len() > 1);
        let at = |delivery: &Delivery| run.deliveries.iter().position(|other| other == delivery).unwrap();
        let (first, last) = (at(of_sender.first().unwrap()), at(of_sender.last().unwrap()));
        run.deliveries.swap(first, last);
        let checks = run.checks();
        prop_assert!(checks.misordered > 0);
        prop_assert_eq!((checks.delivered, checks.repeated), (checks.due, 0));
    }
}

fn message(sender: usize, number: u64) -> MessageName {
    MessageName { room: 0, sender, number }
}

/// A ledger of one room of three, in which member 0 has sent once.
fn one_sent() -> Ledger {
    let mut ledger = Ledger::new([3]);
    assert_eq!(ledger.sent(0, 0, Duration::from_millis(10)), Some(message(0, 0)));
    ledger
}

#[test]
fn a_delivery_says_how_long_it_took() {
    let mut ledger = one_sent();
    let now = Duration::from_millis(25);
    assert_eq!(ledger.received(1, message(0, 0), now), Verdict::First(Duration::from_millis(15)));
    assert_eq!(ledger.received(1, message(0, 0), now), Verdict::Unawaited);
}

#[test]
fn what_was_never_sent_is_invented() {
    let strange = [
        (1, MessageName { room: 1, sender: 0, number: 0 }),
        (1, message(3, 0)),
        (3, message(0, 0)),
        (0, message(0, 0)),
        (1, message(0, 1)),
        (0, message(1, 0)),
    ];
    for (receiver, name) in strange {
        let mut ledger = one_sent();
        assert_eq!(ledger.received(receiver, name, Duration::ZERO), Verdict::Unawaited);
        assert_eq!(ledger.checks().invented, 1, "{name:?} to {receiver}");
        assert_eq!(ledger.checks().delivered, 0);
    }
}

#[test]
fn nobody_waits_for_what_the_client_refused() {
    let mut ledger = one_sent();
    ledger.refused(message(0, 0));
    assert_eq!(ledger.checks(), Checks { refused: 1, ..Checks::default() });
    assert!(ledger.checks().are_clean());
    ledger.refused(message(0, 0));
    assert_eq!(ledger.checks().refused, 1);
}

#[test]
fn a_refused_message_that_arrives_is_no_invention() {
    let mut ledger = one_sent();
    ledger.received(1, message(0, 0), Duration::ZERO);
    ledger.refused(message(0, 0));
    ledger.received(2, message(0, 0), Duration::ZERO);
    assert_eq!(ledger.checks(), Checks { refused: 1, due: 2, delivered: 2, ..Checks::default() });
}

#[test]
fn nothing_is_remembered_of_what_everybody_has() {
    let mut ledger = Ledger::new([3]);
    for _ in 0..1_000 {
        let name = ledger.sent(0, 0, Duration::ZERO).unwrap();
        for receiver in [1, 2] {
            ledger.received(receiver, name, Duration::ZERO);
        }
    }
    let room = ledger.rooms.first().unwrap();
    assert!(room.outboxes.iter().all(|outbox| outbox.under_way.is_empty()));
    assert!(room.inboxes.values().all(|inbox| inbox.pieces() == 1));
}

#[test]
fn checks_of_several_processes_add_up() {
    let mut sum = one_sent().checks();
    let mut other = one_sent();
    other.received(1, message(0, 0), Duration::ZERO);
    other.received(1, message(0, 0), Duration::ZERO);
    other.undecryptable();
    other.repeated();
    sum += other.checks();
    assert_eq!(sum, Checks { sent: 2, due: 4, delivered: 1, repeated: 2, undecryptable: 1, ..Checks::default() });
    let faults: Vec<_> = sum.faults().into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(faults, [("lost", 3), ("repeated", 2), ("undecryptable", 1)]);
}
